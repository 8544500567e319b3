import { fork } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import {
  exactVersion,
  findServer,
  freePorts,
  greeting,
  natsServerOrSkip,
  SERVER_MATRIX,
  serverConfig,
  startNatsServer,
} from '@slip/nats-server'
import { describe, expect, test } from 'vitest'

for (const line of SERVER_MATRIX) {
  const { skip } = await natsServerOrSkip(line)
  test.skipIf(skip)(`a server of line ${line} is the release that is pinned`, async () => {
    await using server = await startNatsServer({ version: line })
    expect((await greeting(server.port))['version']).toBe(exactVersion(line))
    expect(server.version).toBe(exactVersion(line))
  })
}

const { skip } = await natsServerOrSkip('2.12')

describe.skipIf(skip)('a server', () => {
  test('keeps port and data directory over kill and restart', async () => {
    await using server = await startNatsServer()
    const { port, pid, storeDirectory } = server
    await server.kill()
    expect(isAlive(pid!)).toBe(false)
    expect(server.pid).toBe(undefined)
    await server.restart()
    expect([server.port, server.storeDirectory]).toEqual([port, storeDirectory])
    expect(server.pid).not.toBe(pid)
    expect((await greeting(port))['jetstream']).toBe(true)
  })

  test('is gone with its store directory after dispose', async () => {
    const server = await startNatsServer()
    const { pid, port, storeDirectory } = server
    expect(existsSync(storeDirectory)).toBe(true)
    await server[Symbol.asyncDispose]()
    expect(isAlive(pid!)).toBe(false)
    expect(existsSync(dirname(storeDirectory))).toBe(false)
    await expect(greeting(port)).rejects.toThrow()
  })

  test('listens on loopback only, below the ports that outgoing connections take', async () => {
    await using server = await startNatsServer()
    expect((await greeting(server.port))['host']).toBe('127.0.0.1')
    for (const port of [server.port, ...(await freePorts(20))]) expect(port).toBeLessThan(32_768)
  })

  test('frozen accepts connections and says nothing until thawed', async () => {
    await using server = await startNatsServer()
    server.freeze()
    await expect(greeting(server.port, 300)).rejects.toThrow('silence')
    server.thaw()
    expect((await greeting(server.port))['port']).toBe(server.port)
  })

  test('frozen can still be stopped and restarted', async () => {
    await using server = await startNatsServer()
    server.freeze()
    await server.restart()
    server.freeze()
    await server.kill('SIGTERM')
    await expect(greeting(server.port)).rejects.toThrow()
  })

  test('comes back as the version that restart asks for', async () => {
    const newer = await natsServerOrSkip('2.15')
    if (newer.skip) return
    await using server = await startNatsServer({ version: '2.12' })
    await server.restart({ version: '2.15' })
    expect(server.version).toBe(exactVersion('2.15'))
    expect((await greeting(server.port))['version']).toBe(exactVersion('2.15'))
  })

  test('takes configuration as text or as an object, and takes it again while it runs', async () => {
    await using server = await startNatsServer({ config: 'max_payload: 65536' })
    expect((await greeting(server.port))['max_payload']).toBe(65_536)
    const config = { max_payload: 131_072, authorization: { users: [{ user: 'a', password: 'b' }] } }
    await server.reconfigure(serverConfig({ config }, server.port, server.storeDirectory))
    const info = await greeting(server.port)
    expect([info['max_payload'], info['auth_required']]).toEqual([131_072, true])
  })

  test('rejects a configuration that it cannot read, and goes on with the old one', async () => {
    await using server = await startNatsServer()
    await expect(server.reconfigure('port: {')).rejects.toThrow('did not take its configuration')
    expect((await greeting(server.port))['port']).toBe(server.port)
  })

  test('that cannot start says why and leaves nothing behind', async () => {
    const before = process.env['TMPDIR']
    const own = await mkdtemp(join(tmpdir(), 'slip-own-'))
    process.env['TMPDIR'] = own
    try {
      await expect(startNatsServer({ config: 'no_such_option: { a: 1 }' })).rejects.toThrow(
        /ended at once:[^]*unknown field/,
      )
      expect(await readdir(own)).toEqual([])
    } finally {
      if (before === undefined) delete process.env['TMPDIR']
      else process.env['TMPDIR'] = before
      await rm(own, { recursive: true, force: true })
    }
  })

  test('is not mistaken for another one on the same port', async () => {
    await using other = await startNatsServer()
    await expect(startNatsServer({ port: other.port })).rejects.toThrow(/address already in use/)
    expect(isAlive(other.pid!)).toBe(true)
  })

  test.each(['SIGKILL', 'SIGTERM', 'exit'])(
    'dies with the process that started it (%s)',
    { timeout: 60_000 },
    async (end) => {
      const child = fork(new URL('./start-and-die.mjs', import.meta.url))
      const pid = await new Promise<number>((resolve) =>
        child.once('message', (message) => resolve(message as number)),
      )
      expect(isAlive(pid)).toBe(true)
      if (end === 'exit') child.send('go')
      else child.kill(end as NodeJS.Signals)
      const until = performance.now() + 10_000
      while (isAlive(pid) && performance.now() < until)
        await new Promise((resolve) => setTimeout(resolve, 20))
      expect(isAlive(pid)).toBe(false)
    },
  )

  test('leaves no process of ours behind when it is stopped', async () => {
    const server = await startNatsServer()
    const pid = server.pid!
    expect(await guardsOf(pid)).toBe(1)
    await server.stop()
    const until = performance.now() + 5_000
    while ((await guardsOf(pid)) > 0 && performance.now() < until)
      await new Promise((resolve) => setTimeout(resolve, 20))
    expect(await guardsOf(pid)).toBe(0)
  })
})

test('a port somebody listens on is not given', async () => {
  const [port] = await freePorts(1)
  const taken = createServer()
  await new Promise<void>((resolve) => taken.listen(port, '127.0.0.1', resolve))
  const { binary } = skip ? { binary: undefined } : await findServer()
  if (binary !== undefined) await expect(startNatsServer({ port: port! })).rejects.toThrow(/already in use/)
  expect(await freePorts(50)).not.toContain(port)
  await new Promise((resolve) => taken.close(resolve))
})

/** How many shells stand guard over the process `pid`. */
async function guardsOf(pid: number): Promise<number> {
  let count = 0
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const line = await readFile(join('/proc', name, 'cmdline'), 'utf8').catch(() => '')
    if (line.startsWith('sh\0') && line.includes(`kill -9 ${pid}\0`)) count++
  }
  return count
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
