import { spawn } from 'node:child_process'
import { on, once } from 'node:events'
import { createServer, type AddressInfo, type Server } from 'node:net'
import { join } from 'node:path'
import { natsServerOrSkip, startNatsServer, type NatsServer } from '@slip/nats-server'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ERROR_LINE, linesOf, slip, start, temporaryDirectory } from './slip.ts'

const NOBODY = '127.0.0.1:1'

test('a server that cannot be reached is exit 3', async () => {
  const { code, stderr, lines } = await slip(['bucket', 'info', 'b', '--server', NOBODY, '--json'])
  expect(code).toBe(3)
  expect(stderr).toMatch(ERROR_LINE)
  expect(stderr).toContain('(Unreachable)')
  expect(lines.at(-1)).toMatchObject({ error: { code: 'Unreachable' } })
})

test('follow --once on a server that cannot be reached is exit 3 after --timeout, and failed at last', async () => {
  const from = performance.now()
  const fold = `log:${temporaryDirectory()}/f.slip`
  const { code, stderr, lines } = await slip([
    'follow',
    'b',
    '--fold',
    fold,
    '--once',
    '--server',
    NOBODY,
    '--timeout',
    '1s',
    '--json',
  ])
  expect(performance.now() - from).toBeGreaterThan(1_000)
  expect(code).toBe(3)
  expect(stderr).toContain('(Unreachable)')
  expect(lines[0]).toMatchObject({ state: expect.stringMatching(/opening|connecting/), delivered: 0 })
  expect(lines.at(-2)).toMatchObject({ state: 'failed', reason: 'Unreachable' })
  expect(lines.at(-1)).toMatchObject({ error: { code: 'Unreachable' } })
})

test.each(['SIGINT', 'SIGTERM'] as const)(
  'without --once it is waited for, until %s ends the wait with 0',
  async (signal) => {
    const fold = `log:${temporaryDirectory()}/f.slip`
    const child = start(['follow', 'b', '--fold', fold, '--server', NOBODY, '--json', '--timeout', '100ms'])
    let stdout = ''
    child.stdout!.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
    const closed = once(child, 'close')
    const connecting = (): number => stdout.split('"connecting"').length - 1
    await expect.poll(connecting, { timeout: 20_000 }).toBeGreaterThan(3)
    child.kill(signal)
    expect((await closed)[0]).toBe(0)
    expect(linesOf(stdout).at(-1)).toMatchObject({ state: 'closed', done: true, reason: 'signal', lag: null })
  },
)

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)('a second %s ends a command at once, whatever the first one began', async (signal, code) => {
  const module = new URL('../dist/follow/stop-signals.js', import.meta.url).href
  const program = `
    import { onStopSignal } from ${JSON.stringify(module)}
    onStopSignal(() => console.log('stopping'))
    setInterval(() => undefined, 1_000)
    console.log('ready')`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program])
  const said = async (word: string): Promise<void> => {
    for await (const [chunk] of on(child.stdout, 'data')) if (String(chunk).includes(word)) return
  }
  await said('ready')
  child.kill(signal)
  await said('stopping')
  child.kill(signal)
  expect((await once(child, 'close'))[0]).toBe(code)
})

describe('a server that accepts and says nothing', () => {
  let silent: Server

  beforeAll(async () => {
    silent = createServer().listen(0, '127.0.0.1')
    await once(silent, 'listening')
  })
  afterAll(() => silent.close())

  test.each([
    ['put', 'b', 'k', 'v'],
    ['follow', 'b', '--once'],
  ])('%s %s: exit 3 after --timeout, and the process ends', async (...words) => {
    const fold = words[0] === 'follow' ? ['--fold', `log:${temporaryDirectory()}/f.slip`] : []
    const { port } = silent.address() as AddressInfo
    const from = performance.now()
    const { code, stderr } = await slip([
      ...words,
      ...fold,
      '--server',
      `127.0.0.1:${port}`,
      '--timeout',
      '500ms',
    ])
    expect([code, stderr]).toEqual([3, expect.stringContaining('(Unreachable)')])
    expect(performance.now() - from).toBeLessThan(15_000)
  })
})

const { skip } = await natsServerOrSkip('2.12')
const READER = ['$JS.API.INFO', '$JS.API.STREAM.INFO.>']

describe.skipIf(skip)('with credentials', () => {
  let server: NatsServer

  beforeAll(async () => {
    const users = [
      { user: 'us/er', password: 'p@:ss/1' },
      { user: 'reader', password: 'x', permissions: { publish: READER, subscribe: ['_INBOX.>'] } },
    ]
    server = await startNatsServer({ version: '2.12', config: { authorization: { users } } })
    const made = await slip(['bucket', 'create', 'b'], { env: asOwner() })
    expect(made.code, made.stderr).toBe(0)
  })
  afterAll(async () => await server[Symbol.asyncDispose]())

  function asOwner(): Record<string, string> {
    return { SLIP_SERVER: server.url, SLIP_USER: 'us/er', SLIP_PASSWORD: 'p@:ss/1' }
  }

  test('they are decoded from a URL, taken from options, and from variables', async () => {
    const url = server.url.replace('//', '//us%2Fer:p%40%3Ass%2F1@')
    expect((await slip(['put', 'b', 'k', 'v', '--server', url])).code).toBe(0)
    const flags = ['--server', server.url, '--user', 'us/er', '--password', 'p@:ss/1']
    expect((await slip(['put', 'b', 'k', 'v', ...flags])).code).toBe(0)
    expect((await slip(['put', 'b', 'k', 'v'], { env: asOwner() })).code).toBe(0)
    // Whoever an option names is who we are: other ways of saying it by variables do not count.
    const mixed = { ...asOwner(), SLIP_USER: 'reader', SLIP_CREDS: '/no/creds', SLIP_NKEY: '/no/seed' }
    expect((await slip(['put', 'b', 'k', 'v', '--user', 'us/er'], { env: mixed })).code).toBe(0)
  })

  test.each([[['put', 'b', 'k', 'v']], [['follow', 'b', '--once']], [['follow', 'b']]])(
    'refused ones are exit 3 for %j, waiting would not help',
    async (words) => {
      const fold = words[0] === 'follow' ? ['--fold', `log:${temporaryDirectory()}/f.slip`] : []
      const url = server.url.replace('//', '//us%2Fer:wr0ng@')
      const { code, stderr, stdout } = await slip([...words, ...fold, '--server', url, '--json'])
      expect([code, stderr]).toEqual([3, expect.stringContaining('(Unauthorized)')])
      expect(stderr + stdout).not.toContain('wr0ng')
    },
  )

  test.each([
    [['put', 'b', 'k', 'v']],
    [['bucket', 'create', 'c']],
    [['bucket', 'delete', 'b', '--yes']],
    [['follow', 'b', '--once']],
    [['follow', 'b']],
  ])('a missing permission is exit 3 for %j', async (words) => {
    const fold = words[0] === 'follow' ? ['--fold', `log:${join(temporaryDirectory(), 'f.slip')}`] : []
    const flags = ['--server', server.url, '--user', 'reader', '--password', 'x', '--timeout', '2s']
    const { code, stderr } = await slip([...words, ...fold, ...flags])
    expect([code, stderr]).toEqual([3, expect.stringContaining('(PermissionDenied)')])
    expect(stderr).toMatch(ERROR_LINE)
  })
})
