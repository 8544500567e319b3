import { setTimeout as sleep } from 'node:timers/promises'
import { jetstreamManager } from '@nats-io/jetstream'
import { KvError, type KvStore, type ListedKey } from '@slip/kv-core'
import { NatsConnection, natsConnect } from '@slip/nats'
import { natsServerOrSkip, SERVER_MATRIX, startNatsServer } from '@slip/nats-server'
import { describe, expect, test, vi } from 'vitest'

/** A stop signal takes effect when the machine gets to it. */
const STOPPING_MS = 300

const SEED = Number(process.env['SLIP_SEED'] ?? Date.now() % 1_000_000)
/** More than a listing holds back, so that some keys are let go before its end. */
const LONG = 20_000

for (const version of SERVER_MATRIX) {
  const { skip } = await natsServerOrSkip(version)

  describe.skipIf(skip)(`reading on nats-server ${version}`, () => {
    test('a listing under writes is exact at validAt, or says the revision before it began and misses nothing unwritten', async () => {
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
            if (random() < 0.3) return await store.writer.delete(key).then(record(key, false))
            return await store.writer.put(key, 'new').then(record(key, true))
          })
          await Promise.all(burst)
        }
      })()
      const listings: { listed: readonly ListedKey[]; validAt: bigint; before: number }[] = []
      for (let round = 0; round < 5; round++) {
        const listing = round % 2 === 0 ? store.reader.keys('k.') : store.reader.scan('k.')
        const collecting = collect<ListedKey>(listing)
        // Asked on the same connection after the listing asked for the revision before it.
        const { lastRevision: before } = await connection.bucketInfo('b')
        listings.push({ listed: await collecting, validAt: (await listing.validAt).revision!, before })
      }
      writing.on = false
      await writer
      history.sort((a, b) => Number(a.revision - b.revision))
      const lastWrite = new Map(history.map(({ key, revision }) => [key, revision]))
      let exactOnes = 0
      for (const { listed, validAt, before } of listings) {
        const state = new Map<string, bigint>()
        for (const { revision, key, live } of history) {
          if (revision > validAt) break
          if (live) state.set(key, revision)
          else state.delete(key)
        }
        const found = new Map(listed.map(({ key, version: token }) => [key, token.revision!]))
        expect(found.size, 'each key once').toBe(listed.length)
        const settled = new Map([...state].filter(([key, revision]) => lastWrite.get(key) === revision))
        if (validAt > before) {
          exactOnes++
          expect(found, `exact at ${validAt}`).toEqual(state)
        }
        for (const [key, revision] of settled) expect(found.get(key), `${key} at ${validAt}`).toBe(revision)
      }
      console.log(`${exactOnes} of ${listings.length} listings were proven exact under writes`)
    })

    test('a long listing misses nothing that was live at validAt and not written since', async () => {
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
      const listing = store.reader.keys()
      const listed = new Set((await collect(listing)).map(({ key }) => key))
      writing.on = false
      await writer
      expect((await listing.validAt).revision).toBeGreaterThanOrEqual(BigInt(LONG))
      expect(listed.size).toBe(LONG)
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
      await using connection = await NatsConnection.connect({ servers: server.url })
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

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return 'it did not fail'
  } catch (error) {
    return KvError.is(error) ? error.code : String(error)
  }
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
