import { setTimeout as wait } from 'node:timers/promises'
import { NatsConnection } from '@slip/nats'
import { natsServerOrSkip, startNatsServer, startProxy } from '@slip/nats-server'
import { describe, expect, test, vi } from 'vitest'

import { codeOf } from './code-of.ts'

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
