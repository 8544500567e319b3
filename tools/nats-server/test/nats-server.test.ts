import { mkdtemp, rm } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fork } from 'node:child_process'
import {
  findServer,
  NatsServer,
  natsServerOrSkip,
  NoServerError,
  Proxy,
  SERVER_MATRIX,
  startCluster,
  startNatsServer,
} from '@slip/nats-server'
import { describe, expect, test } from 'vitest'

const { skip } = await natsServerOrSkip()

test('where no server can be obtained the error says what to install', async () => {
  const before = { ...process.env }
  const empty = await mkdtemp(join(tmpdir(), 'slip-empty-'))
  Object.assign(process.env, { PATH: empty, SLIP_CACHE: empty, NATS_SERVER: '' })
  try {
    await expect(findServer('2.12')).rejects.toThrow(NoServerError)
    await expect(findServer('2.12')).rejects.toThrow(/Install Python with pip, or Go/)
  } finally {
    process.env = before
    await rm(empty, { recursive: true, force: true })
  }
})

describe.skipIf(skip)('a server', () => {
  test(
    'of every line of the matrix starts, and says the release it was asked for',
    { timeout: 400_000 },
    async () => {
      for (const line of SERVER_MATRIX) {
        await using server = await startNatsServer({ version: line })
        expect((await greeting(server.port))['version']).toBe(server.version)
        expect(server.version.startsWith(`${line}.`)).toBe(true)
      }
    },
  )

  test('keeps port and data over kill and restart, and is gone after dispose', async () => {
    const server = await startNatsServer()
    const { port, pid } = server
    await server.kill()
    expect(isAlive(pid!)).toBe(false)
    await server.restart()
    expect(server.port).toBe(port)
    expect((await greeting(port))['jetstream']).toBe(true)
    await server[Symbol.asyncDispose]()
    await expect(greeting(port)).rejects.toThrow()
  })

  test('frozen accepts connections and says nothing until thawed', async () => {
    await using server = await startNatsServer()
    server.freeze()
    await expect(greeting(server.port, 300)).rejects.toThrow('silence')
    server.thaw()
    expect((await greeting(server.port))['port']).toBe(server.port)
  })

  test('dies with the process that started it', { timeout: 60_000 }, async () => {
    const child = fork(new URL('./start-and-die.mjs', import.meta.url))
    const pid = await new Promise<number>((resolve) =>
      child.once('message', (message) => resolve(message as number)),
    )
    expect(isAlive(pid)).toBe(true)
    child.send('go')
    await new Promise((resolve) => child.once('exit', resolve))
    const until = performance.now() + 5_000
    while (isAlive(pid) && performance.now() < until) await new Promise((resolve) => setTimeout(resolve, 20))
    expect(isAlive(pid)).toBe(false)
  })

  test('three nodes find each other', { timeout: 60_000 }, async () => {
    await using cluster = await startCluster()
    const until = performance.now() + 20_000
    for (const node of cluster.nodes) {
      while (((await greeting(node.port))['connect_urls'] as string[] | undefined)?.length !== 3) {
        expect(performance.now()).toBeLessThan(until)
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    }
  })

  test('behind the proxy can be held one way and cut', async () => {
    await using server: NatsServer = await startNatsServer()
    await using proxy = await Proxy.start(server.port)
    expect((await greeting(proxy.port))['port']).toBe(server.port)
    proxy.hold('toClient')
    await expect(greeting(proxy.port, 300)).rejects.toThrow('silence')
    proxy.release()
    expect((await greeting(proxy.port))['port']).toBe(server.port)
  })
})

async function greeting(port: number, withinMs = 5_000): Promise<Record<string, unknown>> {
  return await new Promise((resolve, reject) => {
    const socket = createConnection({ host: '127.0.0.1', port })
    socket.setTimeout(withinMs, () => {
      socket.destroy()
      reject(new Error('silence'))
    })
    socket.once('error', reject)
    socket.once('data', (chunk) => {
      socket.destroy()
      resolve(JSON.parse(chunk.toString().slice('INFO '.length).split('\r\n')[0]!) as Record<string, unknown>)
    })
  })
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
