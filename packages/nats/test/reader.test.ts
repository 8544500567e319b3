import { setTimeout as sleep } from 'node:timers/promises'
import { jetstreamManager } from '@nats-io/jetstream'
import { KvError, type KvStore, type ListedKey } from '@slip/kv-core'
import { NatsConnection, natsConnect } from '@slip/nats'
import { natsServerOrSkip, SERVER_MATRIX, startNatsServer } from '@slip/nats-server'
import { describe, expect, test, vi } from 'vitest'

import { codeOf } from './code-of.ts'

/** A stop signal takes effect when the machine gets to it. */
const STOPPING_MS = 300

const SEED = Number(process.env['SLIP_SEED'] ?? Date.now() % 1_000_000)
/** More than a listing holds back, so that some keys are let go before its end. */
const LONG = 20_000

for (const version of SERVER_MATRIX) {
  const { skip } = await natsServerOrSkip(version)

  describe.skipIf(skip)(`reading on nats-server ${version}`, () => {
    test('a listing under writes is exact at validAt, whatever is written beside it', async () => {
      console.log(`SLIP_SEED=${SEED}`)
      await using server = await startNatsServer({ version })
      await using connection = await NatsConnection.connect({ servers: server.url })
      const store = await connection.store('b', {})
      const keys = Array.from({ length: 3_000 }, (_, i) => `k.${i}`)
      const history: { readonly revision: bigint; readonly key: string; readonly live: boolean }[] = []
      const record = (key: string, live: boolean) => (token: { readonly revision: bigint | undefined }) =>
        void history.push({ revision: token.revision!, key, live })
      await Promise.all(keys.map((key) => store.writer.put(key, 'old').then(record(key, true))))
      const random = numbers(SEED)
      const writing = { on: true }
      const writer = (async () => {
        while (writing.on) {
          const burst = Array.from({ length: 50 }, async () => {
            const key = keys[Math.floor(random() * keys.length)]!
            const what = random()
            if (what < 0.3) return await store.writer.delete(key).then(record(key, false))
            if (what < 0.6) return await store.writer.put(`beside.${key}`, 'new')
            return await store.writer.put(key, 'new').then(record(key, true))
          })
          await Promise.all(burst)
        }
      })()
      const listings: { listed: readonly ListedKey[]; validAt: bigint; before: number }[] = []
      for (let round = 0; round < 8; round++) {
        const { lastRevision: before } = await connection.bucketInfo('b')
        const listing = round % 2 === 0 ? store.reader.keys('k.') : store.reader.scan('k.')
        const listed = await collect<ListedKey>(listing)
        listings.push({ listed, validAt: (await listing.validAt).revision!, before })
      }
      writing.on = false
      await writer
      history.sort((a, b) => Number(a.revision - b.revision))
      for (const { listed, validAt, before } of listings) {
        const state = new Map<string, bigint>()
        for (const { revision, key, live } of history) {
          if (revision > validAt) break
          if (live) state.set(key, revision)
          else state.delete(key)
        }
        expect(validAt).toBeGreaterThanOrEqual(before)
        expect(new Map(listed.map(({ key, version: token }) => [key, token.revision!]))).toEqual(state)
        expect(listed.length, 'each key once').toBe(state.size)
      }
    })

    test('a long listing misses nothing that was live all the time', async () => {
      await using server = await startNatsServer({ version })
      await using connection = await NatsConnection.connect({ servers: server.url })
      const store = await connection.store('b', {})
      await fill(store, LONG)
      const writing = { on: true }
      let puts = 0
      const writer = (async () => {
        while (writing.on)
          await Promise.all(Array.from({ length: 50 }, () => store.writer.put(`k.${puts++ % LONG}`, 'new')))
      })()
      for (let round = 0; round < 3; round++) {
        const { lastRevision: before } = await connection.bucketInfo('b')
        const listing = store.reader.keys()
        const listed = new Set((await collect(listing)).map(({ key }) => key))
        expect((await listing.validAt).revision).toBeGreaterThanOrEqual(BigInt(before))
        expect(listed.size).toBe(LONG)
      }
      writing.on = false
      await writer
    })

    test('deletes, purges and empty values are not listed; a prefix is bytes', async () => {
      await using server = await startNatsServer({ version })
      await using connection = await NatsConnection.connect({ servers: server.url })
      const store = await connection.store('b', {})
      for (const key of ['node', 'node.a', 'node.ab', 'nodes', 'other', 'node.deleted', 'node.purged'])
        await store.writer.put(key, `of ${key}`)
      await store.writer.put('node.empty', '')
      await store.writer.delete('node.deleted')
      await store.purger.purge('node.purged')
      for (const [prefix, expected] of [
        ['', ['node', 'node.a', 'node.ab', 'nodes', 'other']],
        ['node', ['node', 'node.a', 'node.ab', 'nodes']],
        ['node.', ['node.a', 'node.ab']],
        ['node.a', ['node.a', 'node.ab']],
        ['*', []],
        ['node.>', []],
        ['none.at.all', []],
      ] as const) {
        expect(
          (await collect(store.reader.keys(prefix))).map(({ key }) => key),
          `keys ${prefix}`,
        ).toEqual(expected)
        const scanned = await collect(store.reader.scan(prefix))
        expect(scanned.map(({ value }) => new TextDecoder().decode(value))).toEqual(
          expected.map((key) => `of ${key}`),
        )
      }
    })

    test('a listing ends without its consumer, also when it is left or aborted', async () => {
      await using server = await startNatsServer({ version })
      await using connection = await NatsConnection.connect({ servers: server.url })
      const store = await connection.store('b', {})
      await fill(store, 3_000)
      await collect(store.reader.keys())
      const left = store.reader.scan()
      for await (const _ of left) break
      await expect(left.validAt).rejects.toMatchObject({ code: 'Closed' })
      const reason = new Error('enough')
      const abort = new AbortController()
      const aborted = store.reader.scan('', { signal: abort.signal })
      abort.abort(reason)
      await expect(collect(aborted)).rejects.toBe(reason)
      await expect(aborted.validAt).rejects.toBe(reason)
      const client = await natsConnect({ servers: server.url })
      const manager = await jetstreamManager(client)
      await vi.waitFor(
        async () => expect((await manager.streams.info('KV_b')).state.consumer_count).toBe(0),
        5_000,
      )
      await client.close()
    })

    test('a reader that takes its time holds the server back and gets everything', async () => {
      await using server = await startNatsServer({ version })
      await using connection = await NatsConnection.connect({ servers: server.url })
      const store = await connection.store('b', {})
      await fill(store, LONG, 'x'.repeat(1_000))
      let count = 0
      for await (const _ of store.reader.scan())
        if (++count % 2_000 === 0) await new Promise((resolve) => setTimeout(resolve, 50))
      expect(count).toBe(LONG)
    })

    test('a listing from a server that stops answering ends with a typed error', async () => {
      await using server = await startNatsServer({ version })
      await using connection = await NatsConnection.connect({ servers: server.url, timeoutMs: 1_500 })
      const store = await connection.store('b', {})
      await fill(store, LONG, 'x'.repeat(2_000))
      let count = 0
      const reading = (async () => {
        for await (const _ of store.reader.scan()) if (++count === 1) server.freeze()
      })()
      const error = await reading.catch((reason: unknown) => reason)
      server.thaw()
      expect(KvError.is(error) && error.code).toMatch(/Unreachable|Timeout/)
      expect(await codeOf(store.reader.get('k.1', { timeoutMs: 3_000 }))).toBe('it did not fail')
    })

    test('a listing of a bucket with history shows the newest of each key, also when some are purged under it', async () => {
      await using server = await startNatsServer({ version })
      await using connection = await NatsConnection.connect({ servers: server.url })
      const store = await connection.store('b', { history: 2 })
      for (const value of ['1', '2']) await fill(store, LONG, value)
      const from = performance.now()
      const listed = new Map<string, string>()
      for await (const { key, value } of store.reader.scan()) {
        // Read already are the 16,384 that a listing holds back and little more.
        if (listed.size === 0) for (let i = LONG - 20; i < LONG - 10; i++) await store.purger.purge(`k.${i}`)
        listed.set(key, new TextDecoder().decode(value))
      }
      expect(performance.now() - from).toBeLessThan(3_000)
      expect(listed.size).toBe(LONG - 10)
      expect(new Set(listed.values())).toEqual(new Set(['2']))
    })

    test('a listing of a bucket that is deleted or recreated under it is an error', async () => {
      await using server = await startNatsServer({ version })
      await using connection = await NatsConnection.connect({ servers: server.url })
      const store = await connection.store('b', {})
      await fill(store, LONG)
      const codes: string[] = []
      for (const again of [false, true]) {
        const listing = store.reader.keys()[Symbol.asyncIterator]()
        await listing.next()
        await connection.deleteBucket('b')
        if (again) await connection.store('b', {})
        codes.push(
          await codeOf(
            (async () => {
              while (!(await listing.next()).done);
            })(),
          ),
        )
        if (!again) await fill(await connection.store('b', {}), LONG)
      }
      expect(codes).toEqual(['BucketNotFound', 'BucketRecreated'])
    })

    test('a read of a silent server is Timeout, of a bad key InvalidKey', async () => {
      await using server = await startNatsServer({ version })
      await using connection = await NatsConnection.connect({ servers: server.url })
      const store = await connection.store('b', {})
      for (const read of ['get', 'entry'] as const)
        expect(await codeOf(store.reader[read]('a..b'))).toBe('InvalidKey')
      server.freeze()
      await sleep(STOPPING_MS)
      for (const read of ['get', 'entry'] as const)
        expect(await codeOf(store.reader[read]('k', { timeoutMs: 200 }))).toBe('Timeout')
      const reason = new Error('enough')
      await expect(store.reader.get('k', { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
      server.thaw()
    })
  })
}

async function fill(store: KvStore, count: number, value = 'v'): Promise<void> {
  const operations = Array.from(
    { length: count },
    (_, i) => ({ operation: 'put', key: `k.${i}`, value }) as const,
  )
  for await (const outcome of store.writer!.bulk(operations)) if ('error' in outcome) throw outcome.error
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const collected: T[] = []
  for await (const item of items) collected.push(item)
  return collected
}

/** mulberry32. */
function numbers(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
