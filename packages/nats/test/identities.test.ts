import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'

import { nkeys } from '@nats-io/nats-core'
import { NatsConnection, type NatsConnectionConfig } from '@slip/nats'
import { natsServerOrSkip, serverConfig, startNatsServer, type NatsServer } from '@slip/nats-server'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'

import { operatorMode } from './operator-mode.ts'

const { skip } = await natsServerOrSkip('2.12')

/** A seed as text. */
function seedOf(pair: ReturnType<typeof nkeys.createUser>): string {
  return new TextDecoder().decode(pair.getSeed())
}

describe.skipIf(skip)('who we are, as files and contexts of the NATS CLI say it', () => {
  const mode = operatorMode()
  const pair = nkeys.createUser()
  let home: string
  let byCreds: NatsServer
  let byUser: NatsServer
  let byToken: NatsServer
  const file = (name: string): string => join(home, name)

  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), 'slip-identities-'))
    await mkdir(join(home, 'nats', 'context'), { recursive: true })
    await writeFile(file('user.creds'), mode.userCreds('somebody'))
    await writeFile(file('user.nk'), `${seedOf(pair)}\n`)
    byCreds = await startNatsServer({ version: '2.12', config: mode.config, jetstream: false })
    const users = [{ user: 'CANARY-us@er', password: 'CANARY:a/ss' }, { nkey: pair.getPublicKey() }]
    byUser = await startNatsServer({ version: '2.12', config: { authorization: { users } } })
    byToken = await startNatsServer({ version: '2.12', config: { authorization: { token: 'CANARY-t/k' } } })
    vi.stubEnv('XDG_CONFIG_HOME', home)
  })
  afterAll(async () => {
    vi.unstubAllEnvs()
    await Promise.all([byCreds, byUser, byToken].map((server) => server[Symbol.asyncDispose]()))
    await rm(home, { recursive: true, force: true })
  })

  async function context(name: string, content: object): Promise<{ readonly context: string }> {
    await writeFile(join(home, 'nats', 'context', `${name}.json`), JSON.stringify(content))
    return { context: name }
  }

  /** Connects, is healthy, and shows none of the secrets. */
  async function connects(config: NatsConnectionConfig): Promise<void> {
    await using connection = await NatsConnection.connect(config)
    await vi.waitFor(() => expect(connection.healthy).toBe(true))
    const shown = `${inspect(connection, { depth: 10, showHidden: true })}${JSON.stringify(connection)}`
    for (const secret of ['CANARY', seedOf(pair), 'BEGIN']) expect(shown).not.toContain(secret)
  }

  test('credentials as text, as bytes and as a file', async () => {
    const servers = byCreds.url
    await connects({ servers, creds: mode.userCreds('one') })
    await connects({ servers, creds: new TextEncoder().encode(mode.userCreds('two')) })
    await connects({ servers, credsFile: file('user.creds') })
  })

  test.each([
    ['a credentials file', () => ({ url: byCreds.url, creds: file('user.creds') })],
    ['an nkey file', () => ({ url: byUser.url, nkey: file('user.nk') })],
    ['user and password', () => ({ url: byUser.url, user: 'CANARY-us@er', password: 'CANARY:a/ss' })],
    ['a URL', () => ({ url: byUser.url.replace('://', '://CANARY-us%40er:CANARY%3Aa%2Fss@') })],
    ['a token', () => ({ url: byToken.url, token: 'CANARY-t/k' })],
  ])('a context with %s', async (name, content) => {
    await connects(await context(name.replaceAll(' ', '-'), content()))
  })

  test('a credentials file is read anew for each attempt to connect', async () => {
    const credsFile = file('rotated.creds')
    await writeFile(credsFile, mode.userCreds('first'))
    await using server = await startNatsServer({ version: '2.12', config: mode.config, jetstream: false })
    await using connection = await NatsConnection.connect({ servers: server.url, credsFile })
    await vi.waitFor(() => expect(connection.healthy).toBe(true))
    const next = operatorMode()
    await server.kill()
    const config = { config: next.config, jetstream: false }
    await server.configure(serverConfig(config, server.port, server.storeDirectory))
    await writeFile(credsFile, next.userCreds('second'))
    await server.restart()
    await vi.waitFor(() => expect(connection.healthy).toBe(true), 10_000)
  })

  test('who is not let in is Unauthorized, and no error shows a secret, not even of a context', async () => {
    for (const config of [
      { servers: byCreds.url, creds: operatorMode().userCreds('CANARY-stranger') },
      { servers: byCreds.url },
      { servers: byUser.url.replace('://', '://CANARY-us%40er:CANARY-wrong@') },
      { servers: byUser.url, nkeySeed: seedOf(nkeys.createUser()) },
      await context('wrong', { url: byUser.url, user: 'CANARY-us@er', password: 'CANARY-wrong' }),
      await context('wrong-token', { url: byToken.url, token: 'CANARY-wrong' }),
    ]) {
      const error: unknown = await NatsConnection.connect(config).catch((reason: unknown) => reason)
      expect(error).toMatchObject({ code: 'Unauthorized' })
      const shown = inspect(error, { depth: 10, showHidden: true })
      for (const secret of ['CANARY', 'nkeySeed' in config ? config.nkeySeed : 'BEGIN'])
        expect(shown).not.toContain(secret)
    }
  })
})
