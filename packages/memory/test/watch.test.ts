import { KvError, WatchCursor } from '@slip/kv-core'
import { MemoryConnection } from '@slip/memory'
import { expect, test } from 'vitest'
import { brief, codeOf, WatchProbe } from './harness.ts'

async function open(config = {}) {
  const connection = new MemoryConnection()
  return { connection, store: await connection.store('b', config) }
}

test('a watch gives the newest revision of each key in revision order, then what comes', async () => {
  const { store } = await open({ history: 10 })
  await store.writer.put('a', '1')
  await store.writer.put('b', '2')
  await store.writer.put('a', '3')
  await store.writer.delete('c')
  const probe = new WatchProbe(store.watcher)
  expect((await probe.untilCaughtUp()).updates).toEqual(['b=2@2', 'a=3@3', '-c@4'])
  await store.writer.put('a', '5')
  await store.writer.put('a', '6')
  expect(await probe.updates()).toEqual(['a=5@5', 'a=6@6'])
  await probe.stop()
})

test('resuming gives only what is newer and still held, each revision of it', async () => {
  const { store } = await open({ history: 2 })
  for (const value of ['1', '2', '3', '4']) await store.writer.put('a', value)
  const resume = async (revision: bigint) => {
    const probe = new WatchProbe(store.watcher, 'all', { after: WatchCursor.fromRevision(revision) })
    const { updates } = await probe.untilCaughtUp()
    await probe.stop()
    return updates
  }
  expect(await resume(3n)).toEqual(['a=4@4'])
  expect(await resume(1n)).toEqual(['a=3@3', 'a=4@4'])
  expect(await resume(4n)).toEqual([])
})

test('a cursor above the bucket, or without a revision, is CursorExpired', async () => {
  const { store } = await open()
  await store.writer.put('a', '1')
  for (const after of [
    WatchCursor.fromRevision(2n),
    WatchCursor.fromRevision(2n ** 64n - 1n),
    WatchCursor.fromHex('00112233445566778899'),
  ]) {
    const watch = new WatchProbe(store.watcher, 'all', { after })
    expect(await codeOf(watch.next())).toBe('CursorExpired')
  }
})

test('an empty bucket and an empty scope are caught up at once', async () => {
  const { store } = await open()
  const empty = new WatchProbe(store.watcher)
  expect(await empty.next()).toEqual({ updates: [], caughtUp: true, atEnd: true })
  await empty.stop()
  await store.writer.put('a', '1')
  const scoped = new WatchProbe(store.watcher, { prefix: 'x' })
  const batch = await scoped.next()
  expect(batch).toMatchObject({ updates: [], caughtUp: true })
  expect(batch.bookmark?.revision).toBe(1n)
  await scoped.stop()
})

test('caught up is said once', async () => {
  const { store } = await open()
  const probe = new WatchProbe(store.watcher)
  expect((await probe.next()).caughtUp).toBe(true)
  await store.writer.put('a', '1')
  expect((await probe.next()).caughtUp).toBe(false)
  await probe.stop()
})

test('a quiet scope proves life at least every second, and its bookmark follows the bucket', async () => {
  const { store } = await open()
  const probe = new WatchProbe(store.watcher, { prefix: 'quiet.' })
  await probe.next()
  for (let i = 1; i <= 3; i++) {
    await store.writer.put('loud', `${i}`)
    const startedAt = performance.now()
    const batch = await probe.next()
    expect(performance.now() - startedAt).toBeLessThan(1_000)
    expect(batch).toMatchObject({ updates: [], caughtUp: false })
    expect(batch.bookmark?.revision).toBe(BigInt(i))
  }
  await probe.stop()
})

test('prefixes are byte prefixes, and overlapping ones deliver once', async () => {
  const { store } = await open()
  for (const key of ['no', 'node', 'node.a', 'nodes.b', 'x.y']) await store.writer.put(key, '1')
  const probe = new WatchProbe(store.watcher, { prefixes: ['node', 'node.', 'x'] })
  const { batches } = await probe.untilCaughtUp()
  expect(batches.flatMap(({ updates }) => updates.map(({ key }) => key))).toEqual([
    'node',
    'node.a',
    'nodes.b',
    'x.y',
  ])
  await probe.stop()
  expect(await store.watcher.describe({ prefixes: ['node', 'x'] })).toMatchObject({ keyCount: 4n })
})

test('an empty value is a tombstone, or a value when asked for', async () => {
  const { store } = await open()
  const version = await store.writer.put('a', '1')
  await store.writer.deleteWithVersion('a', version)
  for (const [emptyValues, expected] of [
    [undefined, '-a@2 tombstone'],
    ['keep', 'a=@2'],
  ] as const) {
    const probe = new WatchProbe(store.watcher, 'all', { emptyValues })
    expect((await probe.untilCaughtUp()).updates).toEqual([expected])
    await probe.stop()
  }
})

test('a watch that is not pulled queues nothing: it finds what history still holds', async () => {
  const { store } = await open()
  const probe = new WatchProbe(store.watcher)
  await probe.untilCaughtUp()
  for (let i = 0; i < 10_000; i++) await store.writer.put('a', `${i}`)
  expect(await probe.updates()).toEqual(['a=9999@10000'])
  await probe.stop()
})

test('a batch holds at most 1,024 updates and about 1 MiB', async () => {
  const { store } = await open()
  for (let i = 0; i < 3_000; i++) await store.writer.put(`k${i}`, 'x')
  const probe = new WatchProbe(store.watcher)
  const { batches } = await probe.untilCaughtUp()
  expect(batches.map(({ updates }) => updates.length)).toEqual([1024, 1024, 952])
  const large = new Uint8Array(700_000)
  for (let i = 0; i < 3; i++) await store.writer.put(`large${i}`, large)
  expect((await probe.updates()).length).toBe(1)
  expect((await probe.updates()).length).toBe(1)
  expect((await probe.updates()).length).toBe(1)
  await probe.stop()
})

test('overwriting while the first state is read does not claim to be caught up too early', async () => {
  const { store } = await open()
  for (let i = 0; i < 3_000; i++) await store.writer.put(`k${i}`, 'old')
  const probe = new WatchProbe(store.watcher)
  const seen = new Map<string, string>()
  let caughtUp = false
  for (let round = 0; !caughtUp; round++) {
    if (round === 1) for (let i = 0; i < 3_000; i++) await store.writer.put(`k${i}`, 'new')
    const batch = await probe.next()
    for (const update of batch.updates) seen.set(update.key, brief(update).replace(/.*=(.*)@.*/, '$1'))
    caughtUp = batch.caughtUp
  }
  expect(seen.size).toBe(3_000)
  expect(new Set(seen.values())).toEqual(new Set(['new']))
  await probe.stop()
})

test('an abort rejects a waiting watch with the reason itself', async () => {
  const { store } = await open()
  const probe = new WatchProbe(store.watcher)
  await probe.next()
  const waiting = probe.next()
  probe.abort('why')
  await expect(waiting).rejects.toBe('why')
})

test.each([
  ['BucketNotFound', (connection: MemoryConnection) => connection.deleteBucket('b')],
  ['BucketRecreated', async (connection: MemoryConnection) => connection.faults.recreate('b')],
  ['Unreachable', async (connection: MemoryConnection) => connection.faults.disconnect()],
  ['Unreachable', async (connection: MemoryConnection) => connection.faults.rollback('b', 0n)],
  ['Closed', (connection: MemoryConnection) => connection.close()],
] as const)('a watch ends with KvError %s', async (code, act) => {
  const { connection, store } = await open()
  await store.writer.put('a', '1')
  const probe = new WatchProbe(store.watcher)
  await probe.untilCaughtUp()
  const waiting = codeOf(probe.next())
  await act(connection)
  expect(await waiting).toBe(code)
})

test('closing a handle ends its own watches and no others', async () => {
  const { connection, store } = await open()
  const other = await connection.store('b')
  const mine = new WatchProbe(store.watcher)
  const theirs = new WatchProbe(other.watcher)
  await mine.next()
  await theirs.next()
  await store.close()
  expect(await codeOf(mine.next())).toBe('Closed')
  expect(await codeOf(store.reader.get('a'))).toBe('Closed')
  await other.writer.put('a', '1')
  expect(await theirs.updates()).toEqual(['a=1@1'])
  expect(KvError.is(new Error('no'))).toBe(false)
  await theirs.stop()
})
