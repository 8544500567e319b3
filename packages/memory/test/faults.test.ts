import { WatchCursor } from '@slip/kv-core'
import { MemoryConnection, memoryBucket } from '@slip/memory'
import { expect, test } from 'vitest'
import { codeOf, textOf, WatchProbe } from './harness.ts'

async function open(config = {}) {
  const connection = new MemoryConnection()
  return { connection, faults: connection.faults, store: await connection.store('b', config) }
}

test('a recreated bucket has another incarnation, the same settings, and starts at revision 1', async () => {
  const { faults, store } = await open({ history: 2, maxValueBytes: 2 })
  await store.writer.put('a', '1')
  const before = await store.watcher.describe('all')
  faults.recreate('b')
  const after = await store.watcher.describe('all')
  expect(after.incarnation).not.toBe(before.incarnation)
  expect(after).toMatchObject({ firstRevision: 1n, lastRevision: 0n, keyCount: 0n })
  expect(await codeOf(store.writer.put('a', '123'))).toBe('ValueTooLarge')
  expect((await store.writer.put('a', '1')).revision).toBe(1n)
})

test('a rolled back bucket keeps its incarnation and gives the lost revisions again', async () => {
  const { faults, store } = await open({ history: 2 })
  for (const value of ['1', '2', '3']) await store.writer.put('a', value)
  await store.writer.put('b', '4')
  const before = await store.watcher.describe('all')
  faults.rollback('b', 2n)
  const after = await store.watcher.describe('all')
  expect(after).toMatchObject({
    incarnation: before.incarnation,
    firstRevision: 2n,
    lastRevision: 2n,
    keyCount: 1n,
  })
  expect(textOf((await store.reader.get('a'))!.value)).toBe('2')
  expect((await store.writer.put('c', 'other')).revision).toBe(3n)
  expect(() => faults.rollback('b', 9n)).toThrow(RangeError)
})

test('evicted, removed and purged messages leave without a word to a live or a resumed watch', async () => {
  const { faults, store } = await open()
  for (const key of ['old', 'gone', 'p.1', 'p.2', 'stays']) await store.writer.put(key, '1')
  const live = new WatchProbe(store.watcher)
  await live.untilCaughtUp()
  faults.evict('b', 1)
  expect(faults.removeMessage('b', 2n)).toBe(true)
  expect(faults.removeMessage('b', 2n)).toBe(false)
  expect(faults.purgePrefix('b', 'p.')).toBe(2)
  expect((await live.next()).updates).toEqual([])
  const resumed = new WatchProbe(store.watcher, 'all', { after: WatchCursor.fromRevision(1n) })
  expect((await resumed.untilCaughtUp()).updates).toEqual(['stays=1@5'])
  expect(await store.watcher.describe('all')).toMatchObject({
    firstRevision: 5n,
    lastRevision: 5n,
    keyCount: 1n,
  })
  await live.stop()
  await resumed.stop()
})

test('removing the newest revision of a key uncovers the older one', async () => {
  const { faults, store } = await open({ history: 2 })
  await store.writer.put('a', 'old')
  await store.writer.put('a', 'new')
  faults.removeMessage('b', 2n)
  expect(textOf((await store.reader.get('a'))!.value)).toBe('old')
})

test('the data outlives a disconnection', async () => {
  const { faults, store } = await open()
  await store.writer.put('a', '1')
  faults.disconnect()
  expect(await codeOf(store.writer.put('a', '2'))).toBe('Unreachable')
  faults.reconnect()
  expect((await store.writer.put('a', '3')).revision).toBe(2n)
})

test('memoryBucket opens a bucket for follow, and creates it when told the settings', async () => {
  const connection = new MemoryConnection()
  const { signal } = new AbortController()
  expect(await codeOf(memoryBucket(connection, 'b')({ signal }))).toBe('BucketNotFound')
  const source = await memoryBucket(connection, 'b', { history: 2 })({ signal })
  expect(source).toMatchObject({ name: 'b' })
  expect(source.reader).toBeDefined()
  await source.close?.()
  await expect(connection.store('b')).resolves.toBeDefined()
})

test('a restored bucket holds what the backup held, replaced revisions included, and gives later ones again', async () => {
  const { faults, store } = await open()
  await store.writer.put('a', 'old')
  await store.writer.put('b', '1')
  const backup = faults.backup('b')
  await store.writer.put('a', 'new')
  await store.writer.delete('b')
  const before = await store.watcher.history.at(3n)
  const live = new WatchProbe(store.watcher)
  await live.untilCaughtUp()
  faults.restore('b', backup)
  expect(await codeOf(live.next())).toBe('Unreachable')
  expect(await store.watcher.describe('all')).toMatchObject({
    firstRevision: 1n,
    lastRevision: 2n,
    keyCount: 2n,
  })
  expect(textOf((await store.reader.get('a'))!.value)).toBe('old')
  expect((await store.writer.put('a', 'second')).revision).toBe(3n)
  const again = await store.watcher.history.at(3n)
  expect(again).toMatchObject({ key: 'a', revision: 3n })
  expect(again!.writtenAtMs).toBeGreaterThan(before!.writtenAtMs)
})

test('the time of a message never goes back over a rollback, whatever the clock says', async () => {
  const connection = new MemoryConnection({ now: () => 5_000 })
  const store = await connection.store('b', {})
  await store.writer.put('a', '1')
  connection.faults.rollback('b', 0n)
  await store.writer.put('a', '2')
  expect(await store.watcher.history.at(1n)).toEqual({ key: 'a', revision: 1n, writtenAtMs: 5_001 })
})

test('a silent fault leaves open watches where they are', async () => {
  const { faults, store } = await open()
  for (const key of ['a', 'b']) await store.writer.put(key, '1')
  const backup = faults.backup('b')
  const live = new WatchProbe(store.watcher)
  await live.untilCaughtUp()
  faults.rollback('b', 1n, { silent: true })
  expect((await live.next()).updates).toEqual([])
  faults.restore('b', backup, { silent: true })
  expect((await live.next()).updates).toEqual([])
  faults.recreate('b', { silent: true })
  await store.writer.put('x', '1')
  expect((await live.next()).updates).toEqual([])
  await live.stop()
})

test('limits that are changed hold at once', async () => {
  const { faults, store } = await open({ history: 3 })
  for (let i = 0; i < 9; i++) await store.writer.put(`k${i % 3}`, '12345')
  faults.reconfigure('b', { history: 1 })
  expect((await store.watcher.describe('all')).firstRevision).toBe(7n)
  faults.reconfigure('b', { maxBytes: 50, discard: 'old' })
  expect(await store.watcher.describe('all')).toMatchObject({ keyCount: 2n, evictsCurrentValues: true })
  expect(() => faults.reconfigure('b', { maxBytes: 0 })).toThrow(RangeError)
})

test('a key that expires where there are no markers leaves without a word, and so do markers that are cleaned up', async () => {
  let now = 1_000
  const connection = new MemoryConnection({ now: () => now })
  const { faults } = connection
  const store = await connection.store('b', {})
  await store.writer.put('a', '1')
  faults.putExpiring('b', 'lease', '1', 50)
  await store.writer.delete('a')
  now += 60
  expect(await store.watcher.describe('all')).toMatchObject({ lastRevision: 3n, keyCount: 1n })
  expect(faults.purgeDeletes('b')).toBe(1)
  expect(await store.watcher.describe('all')).toMatchObject({ lastRevision: 3n, keyCount: 0n })
})

test('describe says which age makes keys leave, where it is the only cause', async () => {
  const ageOf = async (config: object): Promise<number | undefined> =>
    (await (await open(config)).store.watcher.describe('all')).evictsAfterMs
  expect(await ageOf({})).toBeUndefined()
  expect(await ageOf({ maxAgeMs: 70 })).toBe(70)
  expect(await ageOf({ maxAgeMs: 70, maxBytes: 100, discard: 'new' })).toBe(70)
  expect(await ageOf({ maxAgeMs: 70, maxBytes: 100, discard: 'old' })).toBeUndefined()
  expect(await ageOf({ maxAgeMs: 70, markerTtlMs: 5 })).toBeUndefined()
})
