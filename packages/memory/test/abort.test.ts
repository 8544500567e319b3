import { channel } from 'node:diagnostics_channel'
import {
  VersionToken,
  type BulkOperation,
  type Listing,
  type SliceMessage,
  type WaitOptions,
} from '@slip/kv-core'
import { MemoryConnection, type MemoryStore } from '@slip/memory'
import { expect, test } from 'vitest'

async function open(keys = 3) {
  const connection = new MemoryConnection()
  const store = await connection.store('b', { markerTtlMs: 60_000 })
  for (let i = 0; i < keys; i++) await store.writer.put(`k${i}`, 'v')
  return { connection, store }
}

async function drained(items: AsyncIterable<unknown>): Promise<number> {
  let count = 0
  for await (const _ of items) count++
  return count
}

type Call = (store: MemoryStore, options: WaitOptions, connection: MemoryConnection) => Promise<unknown>

const first = VersionToken.fromRevision(1n)
const OPERATIONS: readonly BulkOperation[] = [{ operation: 'put', key: 'new', value: '1' }]

const CALLS: Record<string, Call> = {
  store: (_store, options, connection) => connection.store('other', {}, options),
  deleteBucket: (_store, options, connection) => connection.deleteBucket('b', options),
  get: ({ reader }, options) => reader.get('k0', options),
  entry: ({ reader }, options) => reader.entry('k0', options),
  keys: ({ reader }, options) => drained(reader.keys('', options)),
  scan: ({ reader }, options) => drained(reader.scan('', options)),
  put: ({ writer }, options) => writer.put('k0', '1', options),
  create: ({ writer }, options) => writer.create('new', '1', options),
  update: ({ writer }, options) => writer.update('k0', '1', first, options),
  delete: ({ writer }, options) => writer.delete('k0', options),
  deleteWithVersion: ({ writer }, options) => writer.deleteWithVersion('k0', first, options),
  bulk: ({ writer }, options) => drained(writer.bulk(OPERATIONS, options)),
  'empty bulk': ({ writer }, options) => drained(writer.bulk([], options)),
  'ttl.put': ({ ttl }, options) => ttl.put('k0', '1', 1_000, options),
  'ttl.create': ({ ttl }, options) => ttl.create('new', '1', 1_000, options),
  purge: ({ purger }, options) => purger.purge('k0', options),
  describe: ({ watcher }, options) => watcher.describe('all', options),
  'describe of a scope': ({ watcher }, options) => watcher.describe({ prefix: 'k' }, options),
  watch: ({ watcher }, { signal }) => drained(watcher.watch('all', { signal: signal! })),
}

test.each(Object.keys(CALLS))(
  '%s with a signal that was aborted rejects with its reason, and changes nothing',
  async (name) => {
    const { connection, store } = await open()
    const before = await store.watcher.describe('all')
    const reason = { why: 'this very object' }
    const signal = AbortSignal.abort(reason)
    await expect(CALLS[name]!(store, { signal }, connection)).rejects.toBe(reason)
    expect(await store.watcher.describe('all')).toEqual({ ...before, serverTimeMs: expect.any(Number) })
    await expect(connection.store('other')).rejects.toMatchObject({ code: 'BucketNotFound' })
  },
)

test.each(['keys', 'scan'] as const)(
  'an abort in the middle of %s ends it at the next step, validAt as well',
  async (name) => {
    const { store } = await open()
    const stop = new AbortController()
    const reason = new Error('enough')
    const listing: Listing<unknown> = store.reader[name]('', { signal: stop.signal })
    let seen = 0
    const reading = async (): Promise<void> => {
      for await (const _ of listing) {
        seen++
        stop.abort(reason)
      }
    }
    await expect(reading()).rejects.toBe(reason)
    expect(seen).toBe(1)
    await expect(listing.validAt).rejects.toBe(reason)
  },
)

test('an abort in the middle of a count ends it after the slice under way', async () => {
  const { store } = await open(100_000)
  const stop = new AbortController()
  const reason = new Error('enough')
  let slices = 0
  const abortAtFirst = (message: unknown): void => {
    if ((message as SliceMessage).work !== 'memory.count') return
    slices++
    stop.abort(reason)
  }
  channel('slip:slice').subscribe(abortAtFirst)
  try {
    const counting = store.watcher.describe({ prefix: 'k' }, { signal: stop.signal })
    await expect(counting).rejects.toBe(reason)
    expect(slices).toBe(1)
  } finally {
    channel('slip:slice').unsubscribe(abortAtFirst)
  }
})

test('an abort in the middle of a bulk write ends it: what was written stays, nothing more is', async () => {
  const { store } = await open(0)
  const stop = new AbortController()
  const reason = new Error('enough')
  const operations = ['a', 'b', 'c'].map((key): BulkOperation => ({ operation: 'put', key, value: '1' }))
  const writing = async (): Promise<void> => {
    for await (const _ of store.writer.bulk(operations, { signal: stop.signal })) stop.abort(reason)
  }
  await expect(writing()).rejects.toBe(reason)
  expect(await store.watcher.describe('all')).toMatchObject({ lastRevision: 1n })
})

test('an abort ends a bulk write that waits for its input, and lets go of the input', async () => {
  const { store } = await open(0)
  const stop = new AbortController()
  const reason = new Error('enough')
  let left = false
  const input: AsyncIterable<BulkOperation> = {
    [Symbol.asyncIterator]: () => {
      let given = 0
      return {
        next: () =>
          given++ === 0
            ? Promise.resolve({ done: false, value: { operation: 'put', key: 'a', value: '1' } })
            : new Promise(() => undefined),
        return: () => {
          left = true
          return Promise.resolve({ done: true, value: undefined })
        },
      }
    },
  }
  const writing = async (): Promise<void> => {
    for await (const _ of store.writer.bulk(input, { signal: stop.signal }))
      setImmediate(() => stop.abort(reason))
  }
  await expect(writing()).rejects.toBe(reason)
  expect(left).toBe(true)
  expect(await store.watcher.describe('all')).toMatchObject({ lastRevision: 1n })
})

test('a bulk write with a signal takes all of an asynchronous input', async () => {
  const { store } = await open(0)
  async function* input(): AsyncGenerator<BulkOperation> {
    for (const key of ['a', 'b', 'c']) yield { operation: 'put', key, value: '1' }
  }
  const { signal } = new AbortController()
  expect(await drained(store.writer.bulk(input(), { signal }))).toBe(3)
})
