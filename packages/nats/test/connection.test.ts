import { setTimeout as sleep } from 'node:timers/promises'
import { inspect } from 'node:util'
import { nkeys } from '@nats-io/nats-core'
import { KvError } from '@slip/kv-core'
import { NatsConnection, natsBucket, natsConnect, type NatsConnectionConfig } from '@slip/nats'
import { natsServerOrSkip, SERVER_MATRIX, startNatsServer } from '@slip/nats-server'
import { describe, expect, test, vi } from 'vitest'

import { operatorMode } from './operator-mode.ts'

/** A stop signal takes effect when the machine gets to it. */
const STOPPING_MS = 300

const { skip } = await natsServerOrSkip()

async function failure(work: Promise<unknown>): Promise<KvError> {
  const error = await work.then(
    () => new Error('it did not fail'),
    (reason: unknown) => reason,
  )
  expect(KvError.is(error), inspect(error)).toBe(true)
  return error as KvError
}

test('nobody at the address is Unreachable', async () => {
  const error = await failure(NatsConnection.connect({ servers: 'nats://127.0.0.1:1', timeoutMs: 2_000 }))
  expect(error.code).toBe('Unreachable')
  expect(error.message).toContain('127.0.0.1:1')
})

test('an abort of the first connect rejects with its reason', async () => {
  const reason = new Error('enough')
  await expect(NatsConnection.connect({}, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
})

test('what is no client cannot be borrowed', () => {
  expect(() => NatsConnection.from({})).toThrow(TypeError)
})

describe.skipIf(skip)('connecting', () => {
  test('a server that accepts and says nothing is Unreachable after timeoutMs', async () => {
    await using server = await startNatsServer()
    server.freeze()
    await sleep(STOPPING_MS)
    const from = performance.now()
    const error = await failure(NatsConnection.connect({ servers: server.url, timeoutMs: 700 }))
    expect(error.code).toBe('Unreachable')
    expect(performance.now() - from).toBeGreaterThan(600)
    server.thaw()
  })

  test('user and password, also percent-encoded in a URL; wrong ones are Unauthorized', async () => {
    await using server = await startNatsServer({
      config: 'authorization { user: "us@er", password: "p:a/ss" }',
    })
    const ways: NatsConnectionConfig[] = [
      { servers: server.url, user: 'us@er', password: 'p:a/ss' },
      { servers: server.url.replace('://', '://us%40er:p%3Aa%2Fss@') },
    ]
    for (const config of ways) {
      await using connection = await NatsConnection.connect(config)
      await vi.waitFor(() => expect(connection.healthy).toBe(true))
    }
    for (const password of ['wrong', ''])
      expect(
        (await failure(NatsConnection.connect({ servers: server.url, user: 'us@er', password }))).code,
      ).toBe('Unauthorized')
  })

  test('a token, and an nkey seed', async () => {
    await using byToken = await startNatsServer({ config: 'authorization { token: "t/k" }' })
    const client = await natsConnect({ servers: byToken.url.replace('://', '://t%2Fk@') })
    await client.close()
    const pair = nkeys.createUser()
    await using byKey = await startNatsServer({
      config: `authorization { users: [{ nkey: "${pair.getPublicKey()}" }] }`,
    })
    const nkeySeed = new TextDecoder().decode(pair.getSeed())
    await using connection = await NatsConnection.connect({ servers: byKey.url, nkeySeed })
    await connection.store('b', {})
    const other = new TextDecoder().decode(nkeys.createUser().getSeed())
    expect((await failure(NatsConnection.connect({ servers: byKey.url, nkeySeed: other }))).code).toBe(
      'Unauthorized',
    )
  })

  test('credentials come from text or a function, which is asked again at each reconnect', async () => {
    const mode = operatorMode()
    await using server = await startNatsServer({ config: mode.config, jetstream: false })
    const text = await natsConnect({ servers: server.url, creds: mode.userCreds('one') })
    await text.close()
    let asked = 0
    const client = await natsConnect({
      servers: server.url,
      creds: async () => {
        await sleep(1)
        return mode.userCreds(`user-${++asked}`)
      },
    })
    const before = asked
    await server.restart()
    await vi.waitFor(async () => expect(await client.rtt()).toBeGreaterThanOrEqual(0), 10_000)
    expect(asked).toBeGreaterThan(before)
    await client.close()
    const error = await failure(natsConnect({ servers: server.url, creds: 'CANARY nothing in it' }))
    expect(error.code).toBe('Unauthorized')
    expect(inspect(error, { depth: 10 })).not.toContain('CANARY')
  })

  test('healthy is false soon after the server froze or went, and true again when it is back', async () => {
    await using server = await startNatsServer()
    await using connection = await NatsConnection.connect({ servers: server.url })
    await vi.waitFor(() => expect(connection.healthy).toBe(true))
    server.freeze()
    await sleep(STOPPING_MS)
    await vi.waitFor(() => expect(connection.healthy).toBe(false), 10_000)
    server.thaw()
    await vi.waitFor(() => expect(connection.healthy).toBe(true), 10_000)
    await server.kill()
    await vi.waitFor(() => expect(connection.healthy).toBe(false), 5_000)
    await sleep(1_500)
    expect(connection.healthy).toBe(false)
    await server.restart()
    await vi.waitFor(() => expect(connection.healthy).toBe(true), 10_000)
    await connection.close()
    expect(connection.healthy).toBe(false)
  })

  test('a borrowed connection stays open after close', async () => {
    await using server = await startNatsServer()
    const client = await natsConnect({ servers: server.url })
    const connection = NatsConnection.from(client)
    const store = await connection.store('b', {})
    await store.writer.put('k', 'v')
    await connection.close()
    expect(client.isClosed()).toBe(false)
    expect(await client.rtt()).toBeGreaterThanOrEqual(0)
    await client.close()
  })

  test('closing a handle and a connection end their watches and refuse new work', async () => {
    await using server = await startNatsServer()
    const connection = await NatsConnection.connect({ servers: server.url })
    const store = await connection.store('b', {})
    const watching = failure(drain(store.watcher.watch('all', { signal: new AbortController().signal })))
    await sleep(200)
    await store.close()
    expect((await watching).code).toBe('Closed')
    const other = await connection.store('b')
    await connection.close()
    expect((await failure(other.reader.get('k'))).code).toBe('Closed')
    expect((await failure(other.writer.put('k', 'v'))).code).toBe('Closed')
    await connection.close()
  })

  test('no planted secret shows in anything that is printed or thrown', async () => {
    const secrets = ['CANARYpassword', 'CANARYtoken', 'CANARYuser']
    await using server = await startNatsServer({
      config: 'authorization { user: "CANARYuser", password: "CANARYpassword" }',
    })
    const config = { servers: server.url.replace('://', '://CANARYuser:CANARYpassword@') }
    const seed = new TextDecoder().decode(nkeys.createUser().getSeed())
    secrets.push(seed)
    const shown: unknown[] = []
    for (const wrong of [
      { servers: server.url.replace('://', '://CANARYuser:CANARYtoken@') },
      { servers: server.url, token: 'CANARYtoken' },
      { servers: server.url, nkeySeed: seed },
      { servers: server.url, nkeySeed: `${seed}CANARYtoken` },
      { servers: server.url, creds: `-----BEGIN NATS USER JWT-----\nCANARYtoken\n` },
      { servers: 'nats://CANARYuser:CANARYpassword@127.0.0.1:1', timeoutMs: 500 },
      { servers: 'nats://CANARYuser:CANARYpassword@bad host' },
    ])
      shown.push(await NatsConnection.connect(wrong).catch((error: unknown) => error))
    const connection = await NatsConnection.connect(config)
    const client = await natsConnect(config)
    const store = await connection.store('b', {})
    shown.push(connection, client, store, store.reader, store.writer, store.watcher, natsBucket('b', config))
    shown.push(
      await failure(connection.store('none')),
      await failure(store.writer.update('k', 'v', await store.writer.put('x', 'y'))),
    )
    server.freeze()
    await sleep(STOPPING_MS)
    shown.push(
      await failure(store.reader.get('k', { timeoutMs: 200 })),
      await failure(store.writer.put('k', 'v', { timeoutMs: 200 })),
    )
    server.thaw()
    await connection.close()
    shown.push(connection, await failure(store.reader.get('k')))
    await client.close()
    for (const [i, item] of shown.entries()) {
      const text = `${inspect(item, { depth: 10, showHidden: true })} ${String(item)} ${(item as Error).stack ?? ''} ${json(item)}`
      for (const secret of secrets) expect(text.includes(secret), `${secret} in item ${i}`).toBe(false)
    }
  })
})

for (const version of SERVER_MATRIX) {
  const { skip: skipVersion } = await natsServerOrSkip(version)

  test.skipIf(skipVersion)(
    `natsBucket opens by itself, and not before it is asked, on ${version}`,
    async () => {
      await using server = await startNatsServer({ version })
      const { signal } = new AbortController()
      const missing = natsBucket('b', { servers: server.url })
      expect((await failure(missing({ signal }))).code).toBe('BucketNotFound')
      const source = await natsBucket('b', { servers: server.url, create: { history: 1 } })({ signal })
      expect(source.name).toBe('b')
      await source.close?.()
    },
  )
}

function json(item: unknown): string {
  try {
    return JSON.stringify(item) ?? ''
  } catch {
    return ''
  }
}

async function drain(batches: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of batches);
}
