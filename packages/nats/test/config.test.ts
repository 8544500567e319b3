import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { selectedContext } from '@slip/nats'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'

import { resolveConfig } from '../src/connect/config.ts'
import { parseServers } from '../src/connect/servers.ts'
import { checkKey } from '../src/key.ts'
import { redact } from '../src/redact.ts'

let home: string

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'slip-context-'))
  await mkdir(join(home, 'nats', 'context'), { recursive: true })
  vi.stubEnv('XDG_CONFIG_HOME', home)
})

afterEach(async () => {
  vi.unstubAllEnvs()
  await rm(home, { recursive: true, force: true })
})

async function context(name: string, content: string | object): Promise<void> {
  const text = typeof content === 'string' ? content : JSON.stringify(content)
  await writeFile(join(home, 'nats', 'context', `${name}.json`), text)
}

test('credentials in a URL are decoded and taken out of it; comma lists and bare hosts are read', () => {
  expect(parseServers('nats://us%40er:p%3Aa%2Fss@a:4333, b')).toEqual({
    servers: ['nats://a:4333', 'nats://b'],
    user: 'us@er',
    password: 'p:a/ss',
    tls: false,
  })
  expect(parseServers(['tls://to%2Fken@[::1]:4222'])).toEqual({
    servers: ['tls://[::1]:4222'],
    token: 'to/ken',
    tls: true,
  })
})

test.each([
  'nats://CANARY-user:CANARY-pass@ho st',
  'http://CANARY-user:CANARY-pass@host',
  'nats://%zzCANARY:x@host',
  'nats://a:CANARY1@x,nats://b:CANARY2@y',
  ' , ',
])('a wrong server list is a TypeError that repeats none of it: %s', (servers) => {
  const error = thrownBy(() => parseServers(servers))
  expect(error).toBeInstanceOf(TypeError)
  expect(String(error)).not.toContain('CANARY')
  expect(error).not.toHaveProperty('cause')
})

test('a context of the NATS CLI gives servers, identity, prefix and inbox', async () => {
  await context('ops', {
    description: 'a field we do not use',
    url: 'nats://one:4222,nats://two:4222',
    user: 'u',
    password: 'p',
    ca: '/ca.pem',
    jetstream_domain: 'hub',
    inbox_prefix: '_INBOX_ops',
  })
  expect(await resolveConfig({ context: 'ops' })).toEqual({
    servers: ['nats://one:4222', 'nats://two:4222'],
    identity: { user: 'u', password: 'p' },
    tls: { caFile: '/ca.pem' },
    apiPrefix: '$JS.hub.API',
    inboxPrefix: '_INBOX_ops',
    timeoutMs: 5_000,
  })
})

test('what is given wins over the context, and one identity replaces the other whole', async () => {
  await context('ops', { url: 'nats://one', user: 'u', password: 'p', jetstream_api_prefix: 'js.hub' })
  const resolved = await resolveConfig({ context: 'ops', servers: 'two', token: 't', timeoutMs: 9 })
  expect(resolved).toMatchObject({
    servers: ['nats://two'],
    identity: { token: 't' },
    apiPrefix: 'js.hub',
    timeoutMs: 9,
  })
  expect(await resolveConfig({ context: 'ops', apiPrefix: 'own.' })).toMatchObject({ apiPrefix: 'own' })
})

test.each([
  ['missing', undefined],
  ['not-json', '{"password": "CANARY'],
  ['wrong-type', { password: ['CANARY'] }],
  ['../outside', undefined],
])('a context that cannot be used is a TypeError that quotes none of it: %s', async (name, content) => {
  if (content !== undefined) await context(name, content)
  const error = await resolveConfig({ context: name }).catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(TypeError)
  expect(`${String(error)} ${String((error as Error).cause)}`).not.toContain('CANARY')
})

test('the selected context is what the NATS CLI wrote; none is undefined', async () => {
  expect(await selectedContext()).toBeUndefined()
  await writeFile(join(home, 'nats', 'context.txt'), 'ops\n')
  expect(await selectedContext()).toBe('ops')
})

test('a credentials file that is missing is Unauthorized and names the file', async () => {
  const { identity } = await resolveConfig({ credsFile: join(home, 'none.creds') })
  const { Identification } = await import('../src/connect/authenticator.ts')
  await expect(Identification.of(identity)).rejects.toMatchObject({
    code: 'Unauthorized',
    message: expect.stringContaining('none.creds') as string,
  })
})

test.each([{ domain: 'a', apiPrefix: 'b' }, { creds: 'a', credsFile: 'b' }, { timeoutMs: 0 }])(
  'options that contradict each other are refused: %o',
  async (config) => {
    const error = await resolveConfig(config).catch((reason: unknown) => reason)
    expect(error instanceof TypeError || error instanceof RangeError).toBe(true)
  },
)

test.each(['a', 'a.b', 'A-Z_0/9=.x', '-', '_'])('%j is a key', (key) => checkKey(key))

test.each(['', '.', '.a', 'a.', 'a..b', 'a b', 'a*', '>', 'ä', 'a\n', 'a\0'])('%j is no key', (key) => {
  expect(() => checkKey(key)).toThrow(expect.objectContaining({ code: 'InvalidKey' }) as Error)
})

test('URLs, PEM blocks, JWTs and seeds are taken out of texts', () => {
  const seed = `SU${'A'.repeat(56)}`
  const text = `nats://u:CANARY@h x eyJhbGciOi.eyJCANARY.sigCANARY ${seed} -----BEGIN NATS USER JWT-----\nCANARY\n------END NATS USER JWT------ end`
  expect(redact(text)).toBe('nats://***@h x *** *** *** end')
})

function thrownBy(act: () => unknown): unknown {
  try {
    act()
  } catch (error) {
    return error
  }
  return undefined
}
