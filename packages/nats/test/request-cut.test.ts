import { setTimeout as wait } from 'node:timers/promises'
import { NatsConnection } from '@slip/nats'
import { natsServerOrSkip, startNatsServer, startProxy } from '@slip/nats-server'
import { describe, expect, test, vi } from 'vitest'
import { codeOf } from './code-of.ts'
import { operatorMode } from './operator-mode.ts'

/** Longer than a test may take: what ends before was not ended by the time. */
const NEVER_MS = 600_000

const { skip } = await natsServerOrSkip()

const REQUESTS: readonly (readonly [string, string, (connection: NatsConnection) => Promise<unknown>])[] = [
  ['what a bucket holds', 'Unreachable', (connection) => connection.bucketInfo('b')],
  ['a key', 'Unreachable', async (connection) => (await connection.store('b')).reader.entry('k')],
  ['deleting it', 'OutcomeUnknown', (connection) => connection.deleteBucket('b')],
]

describe.skipIf(skip)('a request that is under way when the connection is lost', { timeout: 60_000 }, () => {
  test.each(REQUESTS)('%s: ends at once with %s, and can be made again', async (_what, code, request) => {
    await using server = await startNatsServer()
    await using proxy = await startProxy({ target: { port: Number(new URL(server.url).port) } })
    await using connection = await NatsConnection.connect({ servers: proxy.url, timeoutMs: NEVER_MS })
    await connection.store('b', {})
    proxy.hold()
    const ended = codeOf(request(connection))
    await wait(200)
    proxy.cut()
    expect(await ended).toBe(code)
    proxy.release()
    await vi.waitFor(() => request(connection), { timeout: 30_000, interval: 200 })
  })
})

test.skipIf(skip)(
  'a request that is made while there is no connection waits for it, within its time',
  async () => {
    await using server = await startNatsServer()
    await using proxy = await startProxy({ target: { port: Number(new URL(server.url).port) } })
    await using connection = await NatsConnection.connect({ servers: proxy.url, timeoutMs: 30_000 })
    const { reader } = await connection.store('b', {})
    proxy.hold()
    const cut = codeOf(connection.bucketInfo('b', { timeoutMs: NEVER_MS }))
    proxy.refuse()
    expect(await cut).toBe('Unreachable')
    expect(await codeOf(reader.entry('k', { timeoutMs: 100 }))).toBe('Unreachable')
    const waiting = reader.entry('k')
    const stop = new AbortController()
    const stopped = reader.entry('k', { signal: stop.signal })
    stop.abort('enough')
    await expect(stopped).rejects.toBe('enough')
    proxy.release()
    expect(await waiting).toBeUndefined()
  },
)

test.skipIf(skip)(
  'a request of somebody whose credentials expired before the first one is Unauthorized',
  { timeout: 60_000 },
  async () => {
    const mode = operatorMode()
    await using server = await startNatsServer({ config: mode.config, jetstream: false })
    const creds = mode.userCreds('brief', Date.now() + 2_000)
    await using connection = await NatsConnection.connect({ servers: server.url, creds })
    await wait(4_000)
    expect(await codeOf(connection.bucketInfo('b', { timeoutMs: 100 }))).toBe('Unauthorized')
  },
)
