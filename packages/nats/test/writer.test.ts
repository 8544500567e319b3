import { setTimeout as sleep } from 'node:timers/promises'
import { KvError, type BulkOperation } from '@slip/kv-core'
import { NatsConnection } from '@slip/nats'
import { natsServerOrSkip, SERVER_MATRIX, startNatsServer } from '@slip/nats-server'
import { describe, expect, test } from 'vitest'

import { codeOf } from './code-of.ts'

/** A stop signal takes effect when the machine gets to it. */
const STOPPING_MS = 300

const PIPELINED = Number(process.env['SLIP_BULK'] ?? 50_000)

for (const version of SERVER_MATRIX) {
  const { skip } = await natsServerOrSkip(version)

  describe.skipIf(skip)(`writing on nats-server ${version}`, () => {
    test('a write to a silent server is OutcomeUnknown, and may have happened', async () => {
      await using server = await startNatsServer({ version })
      await using connection = await NatsConnection.connect({ servers: server.url })
      const store = await connection.store('b', {})
      server.freeze()
      await sleep(STOPPING_MS)
      expect(await codeOf(store.writer.put('k', 'v', { timeoutMs: 300 }))).toBe('OutcomeUnknown')
      const reason = new Error('enough')
      const abort = new AbortController()
      const put = store.writer.put('k2', 'v', { signal: abort.signal })
      abort.abort(reason)
      await expect(put).rejects.toBe(reason)
      server.thaw()
      await expect.poll(async () => (await store.reader.entry('k'))?.value.length, { timeout: 5_000 }).toBe(1)
    })

    test('writes under way when the connection breaks are OutcomeUnknown at once; later ones work', async () => {
      await using server = await startNatsServer({ version })
      await using connection = await NatsConnection.connect({ servers: server.url })
      const store = await connection.store('b', {})
      server.freeze()
      await sleep(STOPPING_MS)
      const from = performance.now()
      const put = codeOf(store.writer.put('k', 'v', { timeoutMs: 60_000 }))
      await sleep(50)
      await server.kill()
      expect(await put).toBe('OutcomeUnknown')
      expect(performance.now() - from).toBeLessThan(20_000)
      await server.restart()
      await expect
        .poll(() => codeOf(store.writer.put('k', 'again', { timeoutMs: 1_000 })), { timeout: 15_000 })
        .toBe('it did not fail')
    })

    test('what may not be published is PermissionDenied, also in a bulk', async () => {
      await using server = await startNatsServer({
        version,
        config: `authorization { users: [
          { user: all, password: p },
          { user: some, password: p, permissions: { publish: { deny: ["$KV.b.secret.>", "$JS.API.STREAM.CREATE.>"] } } } ] }`,
      })
      await using owner = await NatsConnection.connect({ servers: server.url, user: 'all', password: 'p' })
      await owner.store('b', {})
      await using connection = await NatsConnection.connect({
        servers: server.url,
        user: 'some',
        password: 'p',
      })
      const { writer } = await connection.store('b')
      expect(await codeOf(writer.put('secret.k', 'v'))).toBe('PermissionDenied')
      expect(await codeOf(connection.store('other', {}))).toBe('PermissionDenied')
      const outcomes = await bulk(writer.bulk(['open.k', 'secret.k', 'open.l'].map(put)))
      expect(outcomes).toEqual(['open.k', 'PermissionDenied', 'open.l'])
    })

    test('values over a limit, and a full bucket, are told apart', async () => {
      await using server = await startNatsServer({ version })
      await using connection = await NatsConnection.connect({ servers: server.url })
      const { writer } = await connection.store('b', { maxValueBytes: 100, maxBytes: 2_000 })
      expect(await codeOf(writer.put('k', 'x'.repeat(200)))).toBe('ValueTooLarge')
      expect(await codeOf(writer.put('k', 'x'.repeat(2_000_000)))).toBe('ValueTooLarge')
      let code = ''
      for (let i = 0; i < 100 && code !== 'QuotaExceeded'; i++)
        code = await codeOf(writer.put(`k${i}`, 'x'.repeat(90)))
      expect(code).toBe('QuotaExceeded')
    })

    test('a time to live is refused where the bucket has none, and below a millisecond', async () => {
      await using server = await startNatsServer({ version })
      await using connection = await NatsConnection.connect({ servers: server.url })
      const { ttl, reader } = await connection.store('b', {})
      expect(await codeOf(ttl.put('k', 'v', 1_000))).toBe('Unsupported')
      expect(await reader.entry('k')).toBeUndefined()
      await expect(ttl.put('k', 'v', 0)).rejects.toThrow(RangeError)
    })

    test('a bulk write leaves off when it is left or aborted, and passes on what the input throws', async () => {
      await using server = await startNatsServer({ version })
      await using connection = await NatsConnection.connect({ servers: server.url })
      const { writer } = await connection.store('b', {})
      let given = 0
      const endless = function* (): Generator<BulkOperation> {
        for (;;) yield put(`k.${given++}`)
      }
      let seen = 0
      for await (const _ of writer.bulk(endless(), { window: 10 })) if (++seen === 25) break
      expect(given).toBeLessThan(100)
      const abort = new AbortController()
      const reason = new Error('enough')
      const aborted = (async () => {
        for await (const _ of writer.bulk(endless(), { signal: abort.signal }))
          if (++seen === 2_000) abort.abort(reason)
      })()
      await expect(aborted).rejects.toBe(reason)
      const bad = new Error('bad line')
      const failing = async function* (): AsyncGenerator<BulkOperation> {
        yield put('before')
        await sleep(1)
        throw bad
      }
      const got: string[] = []
      const failed = (async () => {
        for await (const outcome of writer.bulk(failing())) got.push(outcome.key)
      })()
      await expect(failed).rejects.toBe(bad)
      expect(got).toEqual(['before'])
      expect(() => writer.bulk([], { window: 0 })).toThrow(RangeError)
    })

    test('a bulk write pipelines (its rate is printed)', async () => {
      await using server = await startNatsServer({ version })
      await using connection = await NatsConnection.connect({ servers: server.url })
      const { writer } = await connection.store('b', {})
      const value = new Uint8Array(200).fill(65)
      const operations = Array.from(
        { length: PIPELINED },
        (_, i) => ({ operation: 'put', key: `k.${i}`, value }) as const,
      )
      const from = performance.now()
      const before = process.cpuUsage()
      let written = 0n
      for await (const outcome of writer.bulk(operations)) {
        expect('version' in outcome && outcome.version.revision).toBe(++written)
      }
      const ms = performance.now() - from
      const { user, system } = process.cpuUsage(before)
      console.log(
        `bulk: ${(PIPELINED / ms).toFixed(1)} k/s, ${((user + system) / PIPELINED).toFixed(1)} us of client CPU each`,
      )
      expect(written).toBe(BigInt(PIPELINED))
    })
  })
}

function put(key: string): BulkOperation {
  return { operation: 'put', key, value: 'v' }
}

async function bulk(
  outcomes: AsyncIterable<{ readonly key: string; readonly error?: KvError }>,
): Promise<string[]> {
  const codes: string[] = []
  for await (const { key, error } of outcomes) codes.push(error === undefined ? key : error.code)
  return codes
}
