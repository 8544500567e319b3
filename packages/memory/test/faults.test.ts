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
  expect(after).toEqual({ ...before, firstRevision: 2n, lastRevision: 2n, keyCount: 1n })
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
