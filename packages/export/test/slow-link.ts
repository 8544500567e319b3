import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

/** A relay on loopback that lets so many bytes a second pass each way, and holds back who sends more. */
export async function startSlowLink(
  targetPort: number,
  bytesPerSecond: number,
): Promise<{ readonly port: number; close(): void }> {
  const sockets = new Set<Socket>()
  const server = createServer((near) => {
    const far = connect({ port: targetPort, host: '127.0.0.1' })
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => undefined)
    }
    pass(near, far, bytesPerSecond)
    pass(far, near, bytesPerSecond)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const close = (): void => {
    for (const socket of sockets) socket.destroy()
    server.close()
  }
  return { port: (server.address() as AddressInfo).port, close }
}

function pass(from: Socket, to: Socket, bytesPerSecond: number): void {
  from.on('data', (bytes) => {
    from.pause()
    to.write(bytes)
    setTimeout(() => from.resume(), (1000 * bytes.length) / bytesPerSecond)
  })
  from.on('close', () => to.destroy())
}
