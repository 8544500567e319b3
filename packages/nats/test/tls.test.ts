import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'

import { KvError } from '@slip/kv-core'
import { NatsConnection, natsConnect, type NatsConnectionConfig } from '@slip/nats'
import { natsServerOrSkip, startNatsServer } from '@slip/nats-server'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'

import { certificateAuthority } from './certificates.ts'

const { skip } = await natsServerOrSkip('2.12')

describe.skipIf(skip)('TLS', () => {
  const authority = certificateAuthority('slip tests')
  let home: string
  const file = (name: string): string => join(home, name)

  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), 'slip-tls-'))
    await writeFile(file('ca.pem'), authority.cert)
    await writeFile(file('other-ca.pem'), certificateAuthority('somebody else').cert)
    for (const name of ['server', 'client']) await write(name, authority.issue(name))
    await write('local', authority.issue('local', 'localhost'))
    await write('stranger', certificateAuthority('somebody else').issue('stranger'))
  })
  afterAll(() => rm(home, { recursive: true, force: true }))

  async function write(name: string, { cert, key }: { readonly cert: string; readonly key: string }) {
    await writeFile(file(`${name}.pem`), cert)
    await writeFile(file(`${name}-key.pem`), key)
  }

  const tlsBlock = (more: object = {}): Record<string, object> => ({
    tls: { cert_file: file('server.pem'), key_file: file('server-key.pem'), ...more },
  })

  async function works(config: NatsConnectionConfig): Promise<void> {
    await using connection = await NatsConnection.connect(config)
    const store = await connection.store('b', {})
    await store.writer.put('k', 'v')
    expect((await store.reader.get('k'))?.value).toEqual(new TextEncoder().encode('v'))
    await vi.waitFor(() => expect(connection.healthy).toBe(true))
  }

  async function failureOf(config: NatsConnectionConfig): Promise<KvError> {
    const error = await NatsConnection.connect({ timeoutMs: 2_000, ...config }).catch(
      (reason: unknown) => reason,
    )
    expect(KvError.is(error), inspect(error)).toBe(true)
    return error as KvError
  }

  test('a server whose certificate our authority signed is trusted, any other is not', async () => {
    await using server = await startNatsServer({ version: '2.12', config: tlsBlock() })
    await works({ servers: server.url, tls: { caFile: file('ca.pem') } })
    await works({ servers: server.url.replace('nats://', 'tls://'), tls: { caFile: file('ca.pem') } })
    for (const tls of [undefined, { caFile: file('other-ca.pem') }]) {
      const error = await failureOf({ servers: server.url, ...(tls && { tls }) })
      expect(error.code).toBe('Unreachable')
      expect(inspect(error)).toMatch(/certificate|self.signed/i)
    }
  })

  test('a certificate has to be for the address or the name that was given', async () => {
    const config = { tls: { cert_file: file('local.pem'), key_file: file('local-key.pem') } }
    await using server = await startNatsServer({ version: '2.12', config })
    const tls = { caFile: file('ca.pem') }
    await works({ servers: `nats://localhost:${server.port}`, tls })
    const error = await failureOf({ servers: server.url, tls })
    expect([error.code, error.message]).toEqual(['Unreachable', expect.stringContaining('127.0.0.1')])
  })

  test('a server that wants a certificate of ours gets it; without one, or with a stranger’s, nobody comes in', async () => {
    await using server = await startNatsServer({
      version: '2.12',
      config: tlsBlock({ ca_file: file('ca.pem'), verify: true }),
    })
    const caFile = file('ca.pem')
    const as = (name: string) => ({
      servers: server.url,
      tls: { caFile, certFile: file(`${name}.pem`), keyFile: file(`${name}-key.pem`) },
    })
    await works(as('client'))
    const key = await readFile(file('stranger-key.pem'), 'utf8')
    for (const config of [{ servers: server.url, tls: { caFile } }, as('stranger')]) {
      const error = await failureOf({ ...config, timeoutMs: 700 })
      expect(['Unreachable', 'Unauthorized']).toContain(error.code)
      expect(inspect(error, { depth: 10, showHidden: true })).not.toContain(key.split('\n')[1])
    }
  })

  test('a certificate can be who we are', async () => {
    await using server = await startNatsServer({
      version: '2.12',
      config: {
        ...tlsBlock({ ca_file: file('ca.pem'), verify_and_map: true }),
        authorization: { users: [{ user: 'CN=client' }] },
      },
    })
    const tls = { caFile: file('ca.pem'), certFile: file('client.pem'), keyFile: file('client-key.pem') }
    await works({ servers: server.url, tls })
    const other = { ...tls, certFile: file('server.pem'), keyFile: file('server-key.pem') }
    expect((await failureOf({ servers: server.url, tls: other })).code).toBe('Unauthorized')
  })

  test('a context gives the files, and the handshake comes first where the server wants it', async () => {
    await using server = await startNatsServer({
      version: '2.12',
      config: tlsBlock({ handshake_first: 'auto' }),
    })
    vi.stubEnv('XDG_CONFIG_HOME', home)
    const context = { url: server.url, ca: file('ca.pem'), tls_first: true }
    await mkdir(join(home, 'nats', 'context'), { recursive: true })
    await writeFile(join(home, 'nats', 'context', 'first.json'), JSON.stringify(context))
    await works({ context: 'first' })
    vi.unstubAllEnvs()
  })

  test('a file that is not there is an error that names it', async () => {
    await using server = await startNatsServer({ version: '2.12', config: tlsBlock() })
    const error = await failureOf({ servers: server.url, tls: { caFile: file('none.pem') } })
    expect(inspect(error)).toContain('none.pem')
  })

  test('files are read anew: a client reconnects to a server with new certificates', async () => {
    const own = await mkdtemp(join(home, 'rotated-'))
    const tls = { cert_file: join(own, 's.pem'), key_file: join(own, 's-key.pem') }
    const rotate = async (): Promise<void> => {
      const issuer = certificateAuthority('of the day')
      const { cert, key } = issuer.issue('server')
      await writeFile(tls.cert_file, cert)
      await writeFile(tls.key_file, key)
      await writeFile(join(own, 'ca.pem'), issuer.cert)
    }
    await rotate()
    await using server = await startNatsServer({ version: '2.12', config: { tls } })
    const client = await natsConnect({ servers: server.url, tls: { caFile: join(own, 'ca.pem') } })
    await server.kill()
    await rotate()
    await server.restart()
    await vi.waitFor(async () => expect(await client.rtt()).toBeGreaterThanOrEqual(0), 10_000)
    await client.close()
  })
})
