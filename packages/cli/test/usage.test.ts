import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { commandHelp } from '../src/command/help.ts'
import { COMMANDS } from '../src/commands/all.ts'
import { ERROR_LINE, slip, temporaryDirectory } from './slip.ts'

test('without a command slip shows the overview and exits 2, with --help 0', async () => {
  const bare = await slip([])
  const help = await slip(['--help'])
  expect([bare.code, help.code]).toEqual([2, 0])
  expect(help.stdout).toBe(bare.stdout)
  for (const { name, summary } of COMMANDS) {
    expect(help.stdout).toContain(`  ${name} `)
    expect(help.stdout).toContain(summary)
  }
})

test('--version prints the version of the package', async () => {
  const manifest = await readFile(new URL('../package.json', import.meta.url), 'utf8')
  const { code, stdout } = await slip(['--version'])
  expect([code, stdout]).toEqual([0, `${(JSON.parse(manifest) as { version: string }).version}\n`])
})

const NEEDED = [
  'follow',
  'get',
  'ls',
  'dump',
  'inspect',
  'verify',
  'diff',
  'compact',
  'convert',
  'bucket create',
  'bucket info',
  'bucket delete',
  'put',
  'create',
  'update',
  'del',
  'purge',
  'load',
  'demo',
]

test('every command of the contract is there', () => {
  expect(COMMANDS.map(({ name }) => name).sort()).toEqual([...NEEDED].sort())
})

test('--help of a command is its help, options and all, exit 0', async () => {
  for (const name of ['follow', 'bucket create']) {
    const { code, stdout, stderr } = await slip([...name.split(' '), '--help'])
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout).toBe(commandHelp(COMMANDS.find((command) => command.name === name)!))
  }
})

test('the help of every command says what it does, its options, exit codes and an example', () => {
  for (const command of COMMANDS) {
    const text = commandHelp(command)
    expect(text.startsWith(`slip ${command.name}`)).toBe(true)
    expect(text).toContain(command.summary)
    expect(text).toMatch(/\nOptions\n {2}--/)
    for (const option of Object.keys(command.options)) expect(text).toContain(`  --${option} `)
    expect(text).toMatch(/\nExit codes\n {2}0 {2}/)
    expect(text).toMatch(new RegExp(`\\nExample\\n {2}slip ${command.name}`))
  }
})

test.each([
  [['nonsense'], "'nonsense' is not a command"],
  [['bucket'], "'bucket' is not a command"],
  [['get', 'log:x'], 'KEY missing'],
  [['get', 'log:x', 'a', 'b'], "'b' is one word too many"],
  [['get', 'log:x', 'a', '--nope'], 'nope'],
  [['get', 'x', 'a'], 'write log:PATH'],
  [['get', 'log:', 'a'], 'names no file'],
  [['get', 'lmdb:x', 'a'], 'needs @slip/store-lmdb'],
  [['follow', 'b'], '--fold is missing'],
  [['follow', 'b', '--fold', 'lmdb:x'], 'needs @slip/store-lmdb'],
  [['follow', 'b', '--fold', 'log:x', '--audit', 'soon'], 'not a duration'],
  [['follow', 'b', '--fold', 'log:x', '--durability', 'never'], 'not one of os, interval, batch'],
  [['follow', 'b', '--fold', 'log:x', '--format', '4'], 'not one of 2, 3'],
  [['follow', 'b', '--fold', 'log:x', '--from', 'file:x'], '--from is not in this version'],
  [
    ['follow', 'b', '--fold', 'log:x', '--publish', 'file:x', '--every', '1m'],
    '--publish is not in this version',
  ],
  [['follow', 'b', '--fold', 'log:x', '--metrics', '127.0.0.1:1'], '--metrics is not in this version'],
  [['bucket', 'delete', 'b'], 'needs --yes'],
  [['bucket', 'create', 'b', '--history', '65'], 'from 1 to 64'],
  [['bucket', 'create', 'b', '--max-bytes', '1 XB'], 'not a size'],
  [['update', 'b', 'k', 'v'], '--revision is missing'],
  [['update', 'b', 'k', 'v', '--revision', '-1'], 'not a revision'],
  [['put', 'b', 'k', 'v', '--base64', 'eA=='], 'give the value once'],
  [['put', 'b', 'k', '--base64', 'e'], 'not base64'],
  [['put', 'b', 'k', '--file', './no/such/file'], 'cannot be read'],
  [['put', 'b', 'k', 'v', '--ttl', '5'], 'not a duration'],
  [['ls', 'log:x', '--limit', '-1'], 'not a whole number'],
])('%j is wrong usage: exit 2 and one line that says why', async (args, why) => {
  const { code, stdout, stderr } = await slip(args)
  expect([code, stdout]).toEqual([2, ''])
  expect(stderr).toMatch(ERROR_LINE)
  expect(stderr).toContain(why)
  expect(stderr).toContain('(Usage)')
})

test('with --json the error is also the last line of stdout', async () => {
  const { code, lines, stderr } = await slip(['get', 'lmdb:x', 'a', '--json'])
  expect(code).toBe(2)
  expect(lines).toHaveLength(1)
  const { error } = lines[0] as { error: Record<string, string> }
  expect(Object.keys(error)).toEqual(['code', 'message', 'hint'])
  expect(stderr).toBe(`slip: ${error['message']} (${error['code']}). ${error['hint']}\n`)
})

test('a stack trace is shown only when asked for', async () => {
  expect((await slip(['nonsense'])).stderr).not.toContain('    at ')
  expect((await slip(['nonsense'], { env: { SLIP_DEBUG: '1' } })).stderr).toContain('    at ')
})

test('a server that cannot be reached is exit 3 after --timeout, and the password is not printed back', async () => {
  const from = performance.now()
  const { code, stderr, stdout } = await slip([
    'bucket',
    'info',
    'b',
    '--server',
    'nats://user:s3cret%21@127.0.0.1:1',
    '--timeout',
    '1s',
    '--json',
  ])
  expect(code).toBe(3)
  expect(performance.now() - from).toBeLessThan(15_000)
  expect(stderr).toMatch(ERROR_LINE)
  expect(stderr).toContain('(Unreachable)')
  expect(stderr + stdout).not.toMatch(/s3cret|%21/)
})

test('follow --once on a server that cannot be reached is exit 3 after --timeout', async () => {
  const { code, stderr, lines } = await slip([
    'follow',
    'b',
    '--fold',
    `log:${temporaryDirectory()}/f.slip`,
    '--once',
    '--server',
    '127.0.0.1:1',
    '--timeout',
    '1s',
    '--json',
  ])
  expect(code).toBe(3)
  expect(stderr).toContain('(Unreachable)')
  expect(lines[0]).toMatchObject({ state: expect.stringMatching(/opening|connecting/), delivered: 0 })
  expect(lines.at(-1)).toMatchObject({ error: { code: 'Unreachable' } })
})
