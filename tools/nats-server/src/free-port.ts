import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

// Below the ports systems hand to outgoing connections (from 32768 on Linux, 49152 elsewhere): there a client
// that dials a server which is down can take the server's port, and even connect to itself.
const LOWEST = 15_000
const HIGHEST = 32_000

const given = new Set<number>()

/** Ports of this machine's loopback that nobody listens on, all different, each given once per process. */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = []
  while (ports.length < count) {
    const port = randomInt(LOWEST, HIGHEST)
    if (given.has(port) || !(await isFree(port))) continue
    given.add(port)
    ports.push(port)
  }
  return ports
}

async function isFree(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)))
  })
}
