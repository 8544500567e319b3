import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { FollowState } from '@slip/kv-core'
import { describe, expect, test } from 'vitest'
import { commandHelp } from '../src/command/help.ts'
import { COMMANDS } from '../src/commands/all.ts'
import { EXIT } from '../src/output/exit-code.ts'
import { ERROR_LINE, MAIN, slip, slipBatch, temporaryDirectory } from './slip.ts'

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
  'export',
  'import',
  'publish',
  'bootstrap',
  'lease',
  'bucket create',
  'bucket info',
  'bucket delete',
  'put',
  'create',
  'update',
  'del',
  'purge',
  'load',
  'doctor',
  'top',
  'demo',
]

const STATES: readonly FollowState[] = [
  'opening',
  'connecting',
  'catchingUp',
  'live',
  'resyncing',
  'stale',
  'failed',
  'closed',
]

test('every command of the contract is there', () => {
  expect(COMMANDS.map(({ name }) => name).sort()).toEqual([...NEEDED].sort())
})

describe('help and version', () => {
  test('without a command slip shows the overview, and says on stderr that none was given', async () => {
    const [bare, help, short] = await slipBatch([[], ['--help'], ['-h']])
    expect([bare!.code, help!.code, short!.code]).toEqual([2, 0, 0])
    expect(bare!.stderr).toMatch(ERROR_LINE)
    expect([help!.stdout, short!.stdout]).toEqual([bare!.stdout, bare!.stdout])
    for (const { name, summary } of COMMANDS) {
      expect(help!.stdout).toContain(`  ${name} `)
      expect(help!.stdout).toContain(summary)
    }
  })

  test('--version prints the version of the package', async () => {
    const manifest = await readFile(new URL('../package.json', import.meta.url), 'utf8')
    const { version } = JSON.parse(manifest) as { version: string }
    const { code, stdout } = await slip(['--version'])
    expect([code, stdout]).toEqual([0, `${version}\n`])
  })

  test('under --json everything on stdout is JSON, help and version too', async () => {
    const results = await slipBatch(
      [['--version'], ['--help'], ['get', '--help'], []].map((args) => [...args, '--json']),
    )
    expect(results.map(({ code }) => code)).toEqual([0, 0, 0, 2])
    const [version, overview, help, none] = results.map(({ lines }) => lines)
    expect(version).toEqual([{ version: expect.any(String) }])
    expect(overview).toEqual([{ command: 'slip', help: expect.stringContaining('  dump ') }])
    expect(help).toEqual([{ command: 'get', help: expect.stringContaining('Exit codes') }])
    expect(none).toEqual([{ error: expect.objectContaining({ code: 'Usage' }) }])
  })

  test('--help and -h of every command are its help, exit 0', async () => {
    const given = COMMANDS.flatMap((command) => [[command, '--help'] as const, [command, '-h'] as const])
    const results = await slipBatch(given.map(([{ name }, flag]) => [...name.split(' '), flag]))
    for (const [i, { code, stdout, stderr }] of results.entries())
      expect([code, stderr, stdout]).toEqual([0, '', commandHelp(given[i]![0])])
    expect(results).toHaveLength(2 * NEEDED.length)
  })

  test('the help of every command says what it does, its options, exit codes and an example', () => {
    for (const command of COMMANDS) {
      const text = commandHelp(command)
      expect(text.startsWith(`slip ${command.name}`)).toBe(true)
      expect(text).toContain(command.summary)
      expect(text).toMatch(/\nOptions\n {2}--/)
      for (const option of Object.keys(command.options))
        expect(text).toMatch(new RegExp(`  --${option}[ [=]`))
      expect(text).toMatch(/\nExit codes\n {2}0 {2}/)
      expect(text).toMatch(new RegExp(`\\nExample\\n {2}slip ${command.name}`))
    }
  })

  test('docs/cli.md has every command with its words, every option and every exit code', async () => {
    const page = await readFile(new URL('../../../docs/cli.md', import.meta.url), 'utf8')
    const plain = page.replaceAll('\\|', '|').replaceAll('`', '')
    for (const { name, words, options } of COMMANDS) {
      expect(plain).toContain(`slip ${[name, ...words].join(' ').replace('FILE|-', 'FILE')}`)
      for (const [option, { value, bare }] of Object.entries(options)) {
        expect(plain).toContain(`--${option}`)
        if (value?.includes('|') === true && option !== 'audit' && bare === undefined)
          expect(plain).toContain(`--${option} ${value}`)
      }
    }
    for (const code of Object.values(EXIT)) expect(page).toContain(`\n| ${code} | `)
    for (const state of STATES) expect(page).toContain(`\`${state}\``)
  })

  test('the first word of a group has a help that lists its commands', async () => {
    const [help, bare] = await slipBatch([['bucket', '--help'], ['bucket']])
    expect([help!.code, help!.stderr]).toEqual([0, ''])
    for (const name of ['bucket create', 'bucket info', 'bucket delete']) {
      expect(help!.stdout).toContain(`  ${name} `)
      expect(bare!.stderr).toContain(name)
    }
  })
})

const PUBLISH = ['follow', 'b', '--fold', 'log:x', '--publish'] as const

const WRONG: readonly (readonly [readonly string[], string])[] = [
  [['nonsense'], "'nonsense' is not a command"],
  [['bucket'], "'bucket' is one of"],
  [['bucket', 'nonsense'], "'bucket' is one of"],
  [['--nope'], "'--nope' is not an option"],
  [['get', 'log:x'], 'KEY missing'],
  [['get', 'log:x', 'a', 'b'], "'b' is one word too many"],
  [['get', 'log:x', 'a', '--nope'], 'nope'],
  [['get', 'log:x', 'a', '--json=1'], 'does not take an argument'],
  [['get', 'x', 'a'], 'write log:PATH'],
  [['get', 'log:', 'a'], 'names no file'],
  [['get', 'lmdb:', 'a'], 'names no file'],
  [['convert', 'log:x', 'lmdb:y', '--format', '3'], '--format is for log: folds'],
  [['ls', 'log:x', '--limit'], 'argument missing'],
  [['ls', 'log:x', '--limit', '-1'], 'not a whole number'],
  [['verify'], 'PATH… missing'],
  [['follow', 'b'], '--fold is missing'],
  [['follow', 'b', '--fold', 'lmdb:x', '--format', '3'], '--format is for log: folds'],
  [['follow', 'b', '--fold', 'lmdb:x', '--durability', 'never'], 'not one of os, interval, batch'],
  [['follow', 'b', '--fold', 'x'], 'write log:PATH or lmdb:PATH'],
  [['follow', 'b', '--fold', 'log:x', '--audit', 'soon'], 'not a duration'],
  [['follow', 'b', '--fold', 'log:x', '--audit', '30d'], 'more than 24d'],
  [['follow', 'b', '--fold', 'log:x', '--stale-after', '0s'], 'less than 1ms'],
  [['follow', 'b', '--fold', 'log:x', '--durability', 'never'], 'not one of os, interval, batch'],
  [['follow', 'b', '--fold', 'log:x', '--on-foreign', 'no'], 'not one of refuse, rebuild'],
  [['follow', 'b', '--fold', 'log:x', '--format', '4'], 'not one of 2, 3'],
  [['follow', 'b', '--fold', 'log:x', '--publish', 'file:x'], '--publish needs --every DURATION'],
  [['follow', 'b', '--fold', 'log:x', '--every', '1m'], '--every goes with --publish'],
  [['follow', 'b', '--fold', 'log:x', '--lease', 'l'], '--lease goes with --publish'],
  [['follow', 'b', '--fold', 'log:x', '--interchange=2'], '--interchange goes with --publish'],
  [['follow', 'b', '--fold', 'log:x', '--keep-artifact', './x'], '--keep-artifact goes with --from'],
  [['follow', 'b', '--fold', 'log:x', '--from-behind', '5'], '--from-behind goes with --from'],
  [
    ['follow', 'b', '--fold', 'log:x', '--from', 'file:./x', '--from-behind', '0'],
    "--from-behind '0' is not a whole number from 1",
  ],
  [['follow', 'b', '--fold', 'log:x', '--from', 'ftp:x'], 'ftp:x is no URL of artifacts'],
  [[...PUBLISH, 'file:x', '--every', 'soon'], 'not a duration'],
  [[...PUBLISH, 'file:x', '--every', '900ms'], 'less than 1s'],
  [[...PUBLISH, 'file:x', '--every', '25d'], 'more than 24d'],
  [[...PUBLISH, 'ftp:x', '--every', '1m'], 'ftp:x is no URL of artifacts'],
  [[...PUBLISH, 'file:x', '--every', '1m', '--once'], '--publish is for a follower that stays'],
  [
    [...PUBLISH, 'file:x', '--every', '1m', '--prefix', 'a'],
    'say by --name what this part of the bucket is published as',
  ],
  [[...PUBLISH, 'file:x', '--every', '1m', '--name', '../x'], 'cannot be published'],
  [[...PUBLISH, 'file:x', '--every', '1m', '--name', 'a b'], 'is no key for a lease'],
  [[...PUBLISH, 'file:x', '--every', '1m', '--signing-key', './no/key'], './no/key cannot be read'],
  [['follow', 'b', '--fold', 'log:x', '--metrics', '9464'], "--metrics '9464' is not HOST:PORT"],
  [['follow', 'b', '--fold', 'log:x', '--metrics', 'h:65536'], "--metrics 'h:65536' is not HOST:PORT"],
  [['top', '--metrics', 'http://'], "--metrics 'http://' is not a URL"],
  [['top', '--every', '99ms'], "--every '99ms' is less than 100ms"],
  [['bucket', 'info', 'b', '--timeout', '0s'], 'less than 1ms'],
  [['bucket', 'delete', 'b'], 'needs --yes'],
  [['bucket', 'create', 'b', '--history', '65'], 'from 1 to 64'],
  [['bucket', 'create', 'b', '--max-bytes', '1 XB'], 'not a size'],
  [['bucket', 'create', 'b', '--max-bytes', '0'], 'not from 1 to'],
  [['bucket', 'create', 'b', '--max-value', '9GB'], 'not from 1 to 2147483647 bytes'],
  [['bucket', 'create', 'b', '--max-age', '10ms'], 'less than 100ms'],
  [['bucket', 'create', 'b', '--marker-ttl', '1500ms'], 'not a number of whole seconds'],
  [['bucket', 'create', 'a b'], 'cannot be a bucket'],
  [['bucket', 'create', 'a.b'], 'cannot be a bucket'],
  [['bucket', 'create', ''], 'cannot be a bucket'],
  [['update', 'b', 'k', 'v'], '--revision is missing'],
  [['update', 'b', 'k', 'v', '--revision', '-1'], 'not a revision'],
  [['put', 'b', 'k', 'v', '--base64', 'eA=='], 'give the value once'],
  [['put', 'b', 'k', '--base64', 'e'], 'not base64'],
  [['put', 'b', 'k', '--file', './no/such/file'], 'cannot be read'],
  [['put', 'b', 'k', 'v', '--ttl', '5'], 'not a duration'],
  [['put', 'b', 'k', 'v', '--ttl', '0s'], 'less than 1ms'],
  [['load', 'b', './no/such/file'], 'cannot be read: ENOENT'],
  [['load', 'b', '.'], 'cannot be read: EISDIR'],
]

describe('wrong usage is exit 2 and one line that says why', async () => {
  const results = await slipBatch(WRONG.map(([args]) => args))
  test.each(WRONG.map(([args, why], i) => [args, why, results[i]!] as const))(
    '%j',
    (_, why, { code, stdout, stderr }) => {
      expect([code, stdout]).toEqual([2, ''])
      expect(stderr).toMatch(ERROR_LINE)
      expect(stderr).toContain(why)
      expect(stderr).toContain('(Usage)')
      expect(existsSync('x')).toBe(false)
    },
  )
})

describe('a connection that cannot be meant is wrong usage', async () => {
  const home = temporaryDirectory()
  const contexts = join(home, 'nats', 'context')
  await mkdir(contexts, { recursive: true })
  await writeFile(join(contexts, 'text.json'), 'password: hunter2')
  await writeFile(join(contexts, 'shape.json'), '{"url": 5}')
  await writeFile(join(contexts, 'keyless.json'), '{"url": "nats://127.0.0.1:1", "nkey": "/no/seed"}')
  await writeFile(join(contexts, 'credless.json'), '{"url": "nats://127.0.0.1:1", "creds": "/no/creds"}')
  await writeFile(join(contexts, 'far.json'), '{"url": "nats://127.0.0.1:2"}')
  const env = { XDG_CONFIG_HOME: home }

  const unusable: readonly (readonly [readonly string[], string])[] = [
    [['--context', 'none'], 'the context none cannot be read'],
    [['--context', '../x'], 'no context name'],
    [['--context', 'text'], 'not JSON'],
    [['--context', 'shape'], 'wrong are url'],
    [['--context', 'keyless'], '/no/seed cannot be read: ENOENT'],
    [['--context', 'credless'], '/no/creds cannot be read: ENOENT'],
    [['--server', 'http://127.0.0.1'], 'the scheme http:'],
    [['--server', '::::'], 'no URL'],
    [['--server', 'nats://u:%zz@127.0.0.1'], 'not percent-encoded'],
    [['--server', 'nats://a:b@127.0.0.1:1,nats://c:d@127.0.0.1:2'], 'different credentials'],
    [['--creds', '/no/creds'], '/no/creds cannot be read: ENOENT'],
    [['--nkey', '/no/seed'], '/no/seed cannot be read: ENOENT'],
    [['--tls-ca', '/no/ca.pem'], '/no/ca.pem cannot be read: ENOENT'],
  ]
  const flags = unusable.map(([given]) => given)
  const fold = (i: number): string => join(home, `${i}.slip`)
  const info = await slipBatch(
    flags.map((given) => ['bucket', 'info', 'b', ...given]),
    env,
  )
  // Without --once a source is waited for: what no waiting mends is not.
  const follow = await slipBatch(
    flags.map((given, i) => ['follow', 'b', '--fold', `log:${fold(i)}`, ...given]),
    env,
  )

  test.each(unusable.map(([given, why], i) => [given, why, i] as const))('%j', (given, why, i) => {
    for (const { code, stderr } of [info[i]!, follow[i]!]) {
      expect([code, stderr]).toEqual([2, expect.stringContaining(why)])
      expect(stderr).toMatch(ERROR_LINE)
      expect(stderr).toContain('(Usage)')
      expect(stderr).not.toContain('hunter2')
    }
    // The credentials of a context are read when it is connected to.
    if (!given.includes('credless')) expect(existsSync(fold(i))).toBe(false)
  })

  test('an empty variable is none, and --context says where even when a variable does too', async () => {
    const command = ['bucket', 'info', 'b', '--timeout', '1s']
    const empty = await slip(command, {
      env: { ...env, SLIP_SERVER: '', SLIP_CONTEXT: 'far', SLIP_CREDS: '' },
    })
    expect([empty.code, empty.stderr]).toEqual([3, expect.stringContaining('127.0.0.1:2')])
    const both = await slip([...command, '--context', 'far'], {
      env: { ...env, SLIP_SERVER: 'nats://127.0.0.1:1' },
    })
    expect([both.code, both.stderr]).toEqual([3, expect.stringContaining('127.0.0.1:2')])
    const server = await slip([...command, '--server', 'nats://127.0.0.1:1'], {
      env: { ...env, SLIP_SERVER: 'nats://127.0.0.1:2' },
    })
    expect([server.code, server.stderr]).toEqual([3, expect.stringContaining('127.0.0.1:1')])
  })
})

test('options with values may stand before the command', async () => {
  const { code, stderr } = await slip(['--timeout', '1s', '--server', '127.0.0.1:1', 'bucket', 'info', 'b'])
  expect([code, stderr]).toEqual([3, expect.stringContaining('(Unreachable)')])
})

test('--json after -- is a word', async () => {
  const { code, stdout } = await slip(['get', 'log:x', 'a', '--', '--json'])
  expect([code, stdout]).toEqual([2, ''])
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

test('a password in a URL is not printed back, wherever the URL stands', async () => {
  const url = 'nats://user:s3cret%21@127.0.0.1:1'
  const env = { SLIP_DEBUG: '1' }
  for (const args of [[url], ['get', 'log:x', 'a', url], ['get', url, 'a']]) {
    const { stderr, stdout } = await slip([...args, '--json'], { env })
    expect(stderr).toContain('***@127.0.0.1:1')
    expect(stderr + stdout).not.toMatch(/s3cret|%21/)
  }
})

describe.skipIf(process.platform !== 'linux')('output that cannot be written', () => {
  test.each([['--help'], ['verify', '/no/fold', '--json']])(
    '%s %s is exit 2 and said on stderr',
    async (...args) => {
      const child = spawn('sh', ['-c', '"$0" "$@" >/dev/full', process.execPath, MAIN, ...args])
      let stderr = ''
      child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
      const [code] = (await once(child, 'close')) as [number]
      expect([code, stderr]).toEqual([2, expect.stringMatching(ERROR_LINE)])
      expect(stderr).toContain('ENOSPC')
    },
  )
})
