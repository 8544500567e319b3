import { VersionToken, WatchCursor } from '@slip/kv-core'
import { MemoryConnection } from '@slip/memory'
import { expect, test } from 'vitest'
import { codeOf, textOf, WatchProbe } from './harness.ts'

async function open(config: Parameters<MemoryConnection['store']>[1], nowMs = 1_000) {
  const clock = { nowMs }
  const connection = new MemoryConnection({ now: () => clock.nowMs })
  return { clock, connection, store: await connection.store('b', config) }
}

async function history(store: Awaited<ReturnType<typeof open>>['store']): Promise<string[]> {
  const probe = new WatchProbe(store.watcher, 'all', { after: WatchCursor.fromRevision(0n) })
  const { updates } = await probe.untilCaughtUp()
  await probe.stop()
  return updates
}

test('a key keeps as many revisions as the history says, and other keys do not count', async () => {
  const { store } = await open({ history: 3 })
  for (let i = 1; i <= 5; i++) await store.writer.put('a', `${i}`)
  await store.writer.put('b', 'x')
  expect(await history(store)).toEqual(['a=3@3', 'a=4@4', 'a=5@5', 'b=x@6'])
  expect(await store.watcher.describe('all')).toMatchObject({
    firstRevision: 3n,
    lastRevision: 6n,
    keyCount: 2n,
  })
})

test('a purge leaves one marker in place of the history', async () => {
  const { store } = await open({ history: 5 })
  await store.writer.put('a', '1')
  await store.writer.put('a', '2')
  await store.purger.purge('a')
  expect(await history(store)).toEqual(['--a@3'])
})

test('a delete leaves the older revisions where they are', async () => {
  const { store } = await open({ history: 5 })
  await store.writer.put('a', '1')
  await store.writer.delete('a')
  expect(await history(store)).toEqual(['a=1@1', '-a@2'])
})

test('a history of 64 keeps 64 revisions, not 65', async () => {
  const { store } = await open({ history: 64 })
  for (let i = 1; i <= 65; i++) await store.writer.put('a', `${i}`)
  const kept = await history(store)
  expect([kept.length, kept[0]]).toEqual([64, 'a=2@2'])
})

test('a value above maxValueBytes is refused and takes no revision', async () => {
  const { store } = await open({ maxValueBytes: 3 })
  await store.writer.put('a', '123')
  expect(await codeOf(store.writer.put('a', '1234'))).toBe('ValueTooLarge')
  expect((await store.writer.put('a', '')).revision).toBe(2n)
})

/** Beside key and value. */
const OVERHEAD_BYTES = 16

test.each(['new', 'old'] as const)(
  'a bucket that discards %s takes exactly maxBytes, and not one byte more',
  async (discard) => {
    const exact = 2 * (1 + 10 + OVERHEAD_BYTES)
    const { store } = await open({ maxBytes: exact, discard })
    await store.writer.put('a', '0123456789')
    await store.writer.put('b', '0123456789')
    expect(await history(store)).toEqual(['a=0123456789@1', 'b=0123456789@2'])
    if (discard === 'new') {
      expect(await codeOf(store.writer.put('b', '0123456789x'))).toBe('QuotaExceeded')
      expect(await codeOf(store.writer.put('c', ''))).toBe('QuotaExceeded')
      expect((await store.writer.put('b', 'again 6789')).revision).toBe(3n)
    } else {
      await store.writer.put('b', '0123456789x')
      expect(await history(store)).toEqual(['b=0123456789x@3'])
    }
  },
)

test('a full bucket with history gives back what the oldest revision of the key took', async () => {
  const { store } = await open({ maxBytes: 3 * (1 + 4 + OVERHEAD_BYTES), history: 2 })
  await store.writer.put('a', '1111')
  await store.writer.put('a', '2222')
  await store.writer.put('b', '1111')
  expect(await codeOf(store.writer.put('b', '2222'))).toBe('QuotaExceeded')
  expect((await store.writer.put('a', '3333')).revision).toBe(4n)
  expect(await history(store)).toEqual(['a=2222@2', 'b=1111@3', 'a=3333@4'])
})

test('a full bucket refuses new keys, and lets a key be overwritten and deleted', async () => {
  const { store } = await open({ maxBytes: 64 })
  await store.writer.put('a', '0123456789')
  await store.writer.put('b', '0123456789')
  expect(await codeOf(store.writer.put('c', '0123456789'))).toBe('QuotaExceeded')
  await store.writer.put('a', '9876543210')
  await store.writer.delete('b')
  await store.writer.put('c', '')
  expect(textOf((await store.reader.get('a'))!.value)).toBe('9876543210')
})

test('a full bucket that discards the old evicts the oldest messages and tells nobody', async () => {
  const { store } = await open({ maxBytes: 60, discard: 'old' })
  await store.writer.put('a', '0123456789')
  const probe = new WatchProbe(store.watcher)
  await probe.untilCaughtUp()
  await store.writer.put('b', '0123456789')
  await store.writer.put('c', '0123456789')
  expect(await store.reader.get('a')).toBeUndefined()
  expect(await probe.updates()).toEqual(['b=0123456789@2', 'c=0123456789@3'])
  expect(await store.watcher.describe('all')).toMatchObject({ firstRevision: 2n, evictsCurrentValues: true })
  await probe.stop()
})

test('max age removes a value at its age and not a millisecond before', async () => {
  const { store, clock } = await open({ maxAgeMs: 100 })
  await store.writer.put('a', '1')
  clock.nowMs += 99
  expect(await store.reader.get('a')).toBeDefined()
  clock.nowMs += 1
  expect(await store.reader.get('a')).toBeUndefined()
})

test('a time to live ends at its time and not a millisecond before, and so does its marker', async () => {
  const { store, clock } = await open({ markerTtlMs: 1_000 })
  await store.ttl.put('a', '1', 500)
  clock.nowMs += 499
  expect(await history(store)).toEqual(['a=1@1'])
  clock.nowMs += 1
  expect(await history(store)).toEqual(['-a@2 expired'])
  clock.nowMs += 999
  expect(await history(store)).toEqual(['-a@2 expired'])
  expect((await store.writer.create('b', '1')).revision).toBe(3n)
  clock.nowMs += 1
  expect(await history(store)).toEqual(['b=1@3'])
})

test('an update may give a time to live, only at the expected revision', async () => {
  const { store, clock } = await open({ markerTtlMs: 60_000 })
  const first = await store.writer.put('a', '1')
  await store.writer.put('a', '2')
  expect(await codeOf(store.ttl.update!('a', '3', first, 10))).toBe('RevisionMismatch')
  await store.ttl.update!('a', '3', VersionToken.fromRevision(2n), 10)
  expect(await history(store)).toEqual(['a=3@3'])
  clock.nowMs += 10
  expect(await history(store)).toEqual(['-a@4 expired'])
})

test('create and update write over the marker of an expired key, at its revision', async () => {
  const { store, clock } = await open({ markerTtlMs: 60_000 })
  await store.ttl.put('created', '1', 10)
  await store.ttl.put('updated', '1', 10)
  clock.nowMs += 10
  expect(await history(store)).toEqual(['-created@3 expired', '-updated@4 expired'])
  expect((await store.writer.create('created', '2')).revision).toBe(5n)
  expect(await codeOf(store.writer.update('updated', '2', VersionToken.fromRevision(2n)))).toBe(
    'RevisionMismatch',
  )
  expect((await store.writer.update('updated', '2', VersionToken.fromRevision(4n))).revision).toBe(6n)
})

test('a marker under max age is gone at the sooner of the two', async () => {
  const { store, clock } = await open({ maxAgeMs: 100, markerTtlMs: 1_000 })
  await store.ttl.put('a', '1', 10)
  clock.nowMs += 10
  expect(await history(store)).toEqual(['-a@2 expired'])
  clock.nowMs += 99
  expect(await history(store)).toEqual(['-a@2 expired'])
  clock.nowMs += 1
  expect(await history(store)).toEqual([])
})

test('max age removes what is old without a marker', async () => {
  const { store, clock } = await open({ maxAgeMs: 100 })
  await store.writer.put('a', '1')
  clock.nowMs += 60
  await store.writer.put('b', '1')
  clock.nowMs += 40
  expect(await store.reader.get('a')).toBeUndefined()
  expect(await store.reader.get('b')).toBeDefined()
  expect(await store.watcher.describe('all')).toMatchObject({
    firstRevision: 2n,
    lastRevision: 2n,
    keyCount: 1n,
  })
})

test('max age with markers leaves one for a put and a delete, and none for a purge or a marker', async () => {
  const { store, clock } = await open({ maxAgeMs: 100, markerTtlMs: 50 })
  await store.writer.put('put', '1')
  await store.writer.delete('deleted')
  await store.purger.purge('purged')
  clock.nowMs += 100
  expect(await history(store)).toEqual(['-put@4 expired', '-deleted@5 expired'])
  clock.nowMs += 50
  expect(await history(store)).toEqual([])
  expect(await store.watcher.describe('all')).toMatchObject({
    firstRevision: 6n,
    lastRevision: 5n,
    keyCount: 0n,
  })
})

test('a key with a time to live expires into a marker that a watch delivers and create may overwrite', async () => {
  const { store, clock } = await open({ markerTtlMs: 1000 })
  await store.ttl.put('a', '1', 500)
  expect((await store.reader.get('a'))!.expiresAtMs).toBe(1_500)
  const probe = new WatchProbe(store.watcher)
  await probe.untilCaughtUp()
  clock.nowMs += 500
  expect(await probe.updates()).toEqual(['-a@2 expired'])
  expect(await store.reader.entry('a')).toBeUndefined()
  await store.ttl.create('a', '2', 500)
  expect(await probe.updates()).toEqual(['a=2@3'])
  await probe.stop()
})

test('a live watch is told of an expiry without any other call to the bucket', async () => {
  const store = await new MemoryConnection().store('b', { markerTtlMs: 60_000 })
  await store.ttl.put('a', '1', 30)
  const probe = new WatchProbe(store.watcher)
  await probe.untilCaughtUp()
  expect(await probe.updates()).toEqual(['-a@2 expired'])
  await probe.stop()
})

test('overwriting without a time to live clears it', async () => {
  const { store, clock } = await open({ markerTtlMs: 1000 })
  await store.ttl.put('a', '1', 500)
  await store.writer.put('a', '2')
  clock.nowMs += 5_000
  expect(textOf((await store.reader.get('a'))!.value)).toBe('2')
})

test('a lease renewed very often expires once, at its last time', async () => {
  const { store, clock } = await open({ markerTtlMs: 10_000 })
  for (let i = 0; i < 1000; i++) {
    await store.ttl.put('lease', `${i}`, 100)
    clock.nowMs += 10
  }
  expect(textOf((await store.reader.get('lease'))!.value)).toBe('999')
  clock.nowMs += 90
  expect(await store.reader.get('lease')).toBeUndefined()
  expect(await history(store)).toEqual(['-lease@1001 expired'])
})

test('keys expire in the order of their times, whatever the order of writing', async () => {
  const { store, clock } = await open({ markerTtlMs: 100_000 })
  const ttls = [70, 10, 50, 90, 30, 20, 80, 60, 40]
  for (const ttl of ttls) await store.ttl.put(`k${ttl}`, '1', ttl)
  clock.nowMs += 100
  expect((await history(store)).map((line) => line.split('@')[0])).toEqual(
    ttls.sort((a, b) => a - b).map((ttl) => `-k${ttl}`),
  )
})

test('with history a time to live is at least that of the markers, and its end uncovers the older revision', async () => {
  const { store, clock } = await open({ history: 2, markerTtlMs: 1000 })
  await store.writer.put('a', 'old')
  await store.ttl.put('a', 'new', 10)
  clock.nowMs += 999
  expect(textOf((await store.reader.get('a'))!.value)).toBe('new')
  clock.nowMs += 1
  expect(textOf((await store.reader.get('a'))!.value)).toBe('old')
  expect(await history(store)).toEqual(['a=old@1'])
})

test('a time to live is Unsupported in a bucket without marker TTL, and must be above 0', async () => {
  const { store } = await open({})
  expect(await codeOf(store.ttl.put('a', '1', 10))).toBe('Unsupported')
  await expect(store.ttl.put('a', '1', 0)).rejects.toThrow(RangeError)
})
