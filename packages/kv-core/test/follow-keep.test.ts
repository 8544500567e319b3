import { decodeLineage, KvError, SnapshotError, VersionToken, type RebuildReason } from '@slip/kv-core'
import { describe, expect, test } from 'vitest'
import { FollowRun } from './follow-run.ts'
import { MapLocation, textOf } from './map-store.ts'
import { bucketOf, TestBucket } from './test-bucket.ts'

type Options = NonNullable<Parameters<typeof FollowRun.start>[0]>

const KEEP = { whenEvicted: 'keep', auditIntervalMs: 20 } as const

/** A bucket that evicts by a limit. */
function evicting(...keys: string[]): TestBucket {
  const bucket = bucketOf(...keys)
  bucket.evicts = true
  return bucket
}

/** A fold of `bucket`, left by a follower that was closed. */
async function folded(bucket: TestBucket, options: Options = {}): Promise<MapLocation> {
  const location = options.location ?? new MapLocation()
  await using run = await FollowRun.start({ ...KEEP, ...options, bucket, location })
  await run.caughtUp()
  return location
}

const seen = (location: MapLocation): { binding: boolean; memo: boolean } => ({
  binding: decodeLineage(location.image!.lineage!).binding.evictionSeen,
  memo: location.image!.cursor.memo !== undefined,
})
const SEEN = { binding: true, memo: true }
const pauseMs = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

describe('a replica of record', () => {
  test('keeps what the bucket evicts while it follows, and drops what somebody deletes', async () => {
    const bucket = evicting('a', 'b', 'c')
    await using run = await FollowRun.start({ ...KEEP, bucket })
    await run.caughtUp()
    bucket.vanish('a')
    bucket.delete('b')
    await run.waitFor(bucket.put('d'))
    await pauseMs(100)
    expect(run.keys).toEqual(['a', 'c', 'd'])
    expect(run.states).not.toContain('resyncing')
  })

  test('is compared by count as long as the bucket has not lost anything, and not any more after', async () => {
    const bucket = evicting('a', 'b')
    await using run = await FollowRun.start({ ...KEEP, bucket })
    await run.caughtUp()
    await run.verified(2n)
    expect(run.follower.status.unverified).toEqual([])
    bucket.vanish('a')
    await run.waitFor(bucket.put('c'))
    await run.until(() => run.follower.status.unverified.includes('count'))
    expect(run.follower.status).toMatchObject({ state: 'live', verifiedThrough: 2n })
    expect(run.keys).toEqual(['a', 'b', 'c'])
  })

  test('is not found fault with for what is evicted while the bucket is listed', async () => {
    const bucket = evicting('z', 'a', 'b')
    bucket.hasReader = true
    bucket.historyPerKey = 5
    let evictedAt = 0
    bucket.onListed = () => {
      if (bucket.listings === 3 && evictedAt === 0) {
        evictedAt = bucket.listings
        bucket.vanish('z')
      }
    }
    bucket.listedAs = (listed) =>
      evictedAt > 0 && listed.key === 'b' ? { ...listed, version: VersionToken.fromRevision(2n) } : listed
    await using run = await FollowRun.start({ ...KEEP, bucket })
    await run.until(() => evictedAt > 0)
    await pauseMs(100)
    expect(run.follower.status.state).toBe('live')
    expect(run.keys).toEqual(['a', 'b', 'z'])
    expect(run.reasons).toEqual([])
  })

  test('of a bucket that never evicts is a mirror: keys that vanished are found and leave it', async () => {
    const bucket = bucketOf('a', 'b', 'c')
    const location = await folded(bucket)
    bucket.vanish('b')
    await using run = await FollowRun.start({ ...KEEP, bucket, location })
    await run.caughtUp()
    expect(run.reasons).toContain('countMismatch')
    expect(run.keys).toEqual(['a', 'c'])
    expect(seen(location)).toEqual({ binding: false, memo: false })
  })

  test('goes over a gap that cannot hold an eviction: only age evicts, and its last update is young', async () => {
    const bucket = evicting('a', 'b', 'c')
    bucket.evictsAfterMs = 10_000
    const location = await folded(bucket)
    bucket.pass(4_000)
    for (let i = 0; i < 50; i++) bucket.put('c', `${i}`)
    for (const key of ['a', 'b']) bucket.put(key, 'again')
    await using run = await FollowRun.start({ ...KEEP, bucket, location })
    await run.caughtUp()
    expect(textOf(run.follower, 'c')).toBe('49')
    expect(run.follower.status).toMatchObject({ delivered: 3, relisted: 0 })
  })

  test.each([
    ['its last update is old', (bucket: TestBucket): void => bucket.pass(6_000)],
    ['more than age evicts', (bucket: TestBucket): void => void (bucket.evictsAfterMs = undefined)],
  ])('is refused over the same gap where %s', async (_why, spoil) => {
    const bucket = evicting('a', 'b', 'c')
    bucket.evictsAfterMs = 10_000
    const location = await folded(bucket)
    spoil(bucket)
    for (const key of ['c', 'a', 'b', 'c', 'a', 'b']) bucket.put(key, 'again')
    await using run = await FollowRun.start({ ...KEEP, bucket, location })
    expect(await run.failure()).toMatchObject({ code: 'RepairRefused' })
  })
})

describe('that eviction was seen', () => {
  test.each([true, false])(
    'is kept with the first commit, in binding and cursor (keeps a lineage: %s)',
    async (lineage) => {
      const bucket = evicting('a', 'b', 'c')
      bucket.vanish('a')
      const location = new MapLocation()
      location.features = { lineage }
      await folded(bucket, { location })
      expect(location.image!.cursor.memo).toEqual({ evictionSeen: true, serverTimeMs: 1_003n })
      if (lineage) expect(seen(location)).toEqual(SEEN)
    },
  )

  test.each([true, false])(
    'is kept when the bucket begins to evict under a live follower (lineage: %s)',
    async (lineage) => {
      const bucket = evicting('a', 'b')
      const location = new MapLocation()
      location.features = { lineage }
      await using run = await FollowRun.start({ ...KEEP, bucket, location })
      await run.caughtUp()
      expect(location.image!.cursor.memo).toBeUndefined()
      bucket.vanish('a')
      await run.until(() => location.image!.cursor.memo !== undefined)
      await run.waitFor(bucket.put('c'))
      expect(location.image!.cursor.memo).toEqual({ evictionSeen: true, serverTimeMs: 1_003n })
      if (lineage) expect(seen(location)).toEqual(SEEN)
    },
  )

  test('lasts although the bucket stops evicting: its listing is never believed again', async () => {
    const bucket = evicting('a', 'b', 'c')
    bucket.vanish('a')
    const location = await folded(bucket)
    bucket.evicts = false
    bucket.vanish('b')
    await using run = await FollowRun.start({ ...KEEP, bucket, location })
    await run.caughtUp()
    await pauseMs(60)
    expect(run.keys).toEqual(['b', 'c'])
    expect(run.follower.status).toMatchObject({ state: 'live', unverified: ['count'] })
    expect(run.follower.status.verifiedThrough).toBeUndefined()
  })

  test('is no matter for a mirror, until its cursor expires', async () => {
    const bucket = evicting('a', 'b', 'c')
    bucket.vanish('a')
    const location = await folded(bucket, { whenEvicted: 'drop' })
    expect(seen(location)).toEqual({ binding: false, memo: false })
  })

  test('is forgotten with the history it belongs to', async () => {
    const bucket = evicting('a', 'b')
    bucket.vanish('a')
    const location = await folded(bucket)
    expect(seen(location)).toEqual(SEEN)
    bucket.recreate()
    bucket.put('z')
    await folded(bucket, { location })
    expect(seen(location)).toEqual({ binding: false, memo: false })
    expect([...location.image!.entries.keys()]).toEqual(['z'])
  })
})

describe('an expired cursor', () => {
  /** What was written and evicted while nobody followed lies between the cursor and what is left. */
  async function expired(options: Options = {}): Promise<{ bucket: TestBucket; location: MapLocation }> {
    const bucket = evicting('a', 'b')
    const location = await folded(bucket, options)
    for (const key of ['x', 'y']) bucket.put(key)
    for (const key of ['a', 'b', 'x']) bucket.vanish(key)
    return { bucket, location }
  }

  test('is refused: data and position as they were, and only the mark added', async () => {
    const { bucket, location } = await expired()
    const { cursor, entries } = location.image!
    const before = [...entries]
    const commits = location.commits.length
    await using run = await FollowRun.start({ ...KEEP, bucket, location })
    const failure = await run.failure()
    expect(failure).toMatchObject({ name: 'KvError', code: 'RepairRefused' })
    expect((failure as KvError).cursor?.token.equals(cursor.token)).toBe(true)
    expect(String(failure)).toMatch(/revision 2 .*cursorExpired.*begins at revision 4.*bootstrap/)
    expect(run.follower.status).toMatchObject({ state: 'failed', reason: 'RepairRefused' })
    expect([...location.image!.entries]).toEqual(before)
    expect(location.image!.cursor.token.equals(cursor.token)).toBe(true)
    expect(location.commits.slice(commits).map(({ count }) => count)).toEqual([0])
    expect(seen(location)).toEqual(SEEN)
    expect(run.applied).toEqual([])
  })

  test('is refused again without another commit, and when the mark cannot be written', async () => {
    const { bucket, location } = await expired()
    location.failing.apply = () => {
      throw new SnapshotError('Io', 'no space left')
    }
    {
      await using run = await FollowRun.start({ ...KEEP, bucket, location })
      expect(await run.failure()).toMatchObject({ code: 'RepairRefused' })
    }
    location.failing = {}
    for (let i = 0; i < 2; i++) {
      await using run = await FollowRun.start({ ...KEEP, bucket, location })
      expect(await run.failure()).toMatchObject({ code: 'RepairRefused' })
    }
    expect(location.commits.filter(({ count }) => count === 0)).toHaveLength(1)
  })

  test.each([
    ['drop', 'auto', 'rebuilt'],
    ['drop', 'relist', 'rebuilt'],
    ['drop', 'restore', 'refused'],
    ['drop', 'none', 'refused'],
    ['keep', 'auto', 'refused'],
    ['keep', 'relist', 'refused'],
    ['keep', 'restore', 'refused'],
    ['keep', 'none', 'refused'],
  ] as const)('under %s with repair %s is %s', async (whenEvicted, repair, outcome) => {
    const { bucket, location } = await expired({ whenEvicted })
    await using run = await FollowRun.start({ bucket, location, whenEvicted, repair })
    if (outcome === 'refused') expect(await run.failure()).toMatchObject({ code: 'RepairRefused' })
    else {
      await run.caughtUp()
      expect(run.keys).toEqual(['y'])
      expect(run.reasons).toEqual(['cursorExpired'])
    }
  })

  test('under none is refused for a count that differs too, and another history is rebuilt all the same', async () => {
    const bucket = bucketOf('a', 'b')
    const location = await folded(bucket, { whenEvicted: 'drop' })
    bucket.vanish('a')
    {
      await using run = await FollowRun.start({ bucket, location, repair: 'none' })
      expect(await run.failure()).toMatchObject({ code: 'RepairRefused' })
    }
    bucket.recreate()
    bucket.put('z')
    await using run = await FollowRun.start({ bucket, location, repair: 'none' })
    await run.caughtUp()
    expect(run.keys).toEqual(['z'])
  })
})

describe('a rebuild of a replica of record', () => {
  /** A key vanished from a bucket that has not evicted yet, so that a listing may repair its fold. */
  async function mismatched(features: MapLocation['features'] = {}): Promise<[TestBucket, MapLocation]> {
    const bucket = evicting('z', 'a', 'b', 'c', 'd')
    const location = new MapLocation()
    location.features = features
    await folded(bucket, { location })
    bucket.vanish('c')
    return [bucket, location]
  }

  test('removes what the listing lacks as long as the bucket has not evicted', async () => {
    const [bucket, location] = await mismatched()
    await using run = await FollowRun.start({ ...KEEP, bucket, location })
    await run.caughtUp()
    expect(run.reasons).toContain('countMismatch')
    expect(run.keys).toEqual(['a', 'b', 'd', 'z'])
  })

  test.each([
    ['before it is complete', ['z'], false],
    ['and its session broke', ['z'], true],
    ['what was not staged yet, and its session broke', ['z', 'a'], true],
  ])('is given up when the bucket evicts %s', async (_when, keys, breaks) => {
    const [bucket, location] = await mismatched()
    bucket.maxBatch = 1
    bucket.holdsHydration = true
    await using run = await FollowRun.start({ ...KEEP, bucket, location })
    await run.until(() => run.applied.length === 1)
    for (const key of keys) bucket.vanish(key)
    if (breaks) bucket.breakSessions()
    bucket.holdsHydration = false
    expect(await run.failure()).toMatchObject({ code: 'RepairRefused' })
    const hydrations = bucket.watches.filter(({ after }) => after === undefined)
    expect(hydrations).toHaveLength(2)
    expect([...location.image!.entries.keys()].sort()).toEqual(['a', 'b', 'c', 'd', 'z'])
    expect(run.applied.filter(({ operation }) => operation !== 'put')).toEqual([])
  })

  test('is not begun where the fold would have to be emptied first', async () => {
    const [bucket, location] = await mismatched({ staging: false })
    await using run = await FollowRun.start({ ...KEEP, bucket, location })
    expect(await run.failure()).toMatchObject({ code: 'RepairRefused' })
    expect(location.image!.entries.size).toBe(5)
  })

  test('is not begun where messages leave by times to live of their own: the first revision tells nothing', async () => {
    const bucket = evicting('z', 'a', 'b')
    bucket.evictsOldestFirst = false
    const location = await folded(bucket)
    expect(seen(location)).toEqual(SEEN)
    bucket.vanish('a')
    await using run = await FollowRun.start({ ...KEEP, bucket, location })
    await run.caughtUp()
    await pauseMs(60)
    expect(run.keys).toEqual(['a', 'b', 'z'])
    expect(run.reasons).toEqual([])
  })
})

describe('updates that are evicted before they are delivered', () => {
  /** A follower that hears nothing while updates come and go. */
  async function overrun(bucket: TestBucket, run: FollowRun): Promise<void> {
    await run.caughtUp()
    bucket.frozen = true
    for (const key of ['x', 'y', 'z']) bucket.put(key)
    for (const key of ['a', 'b', 'x', 'y']) bucket.vanish(key)
    bucket.thaw()
  }

  test('end a replica of record, and its cursor does not go over them: what they were cannot be told', async () => {
    const bucket = evicting('a', 'b')
    const location = new MapLocation()
    {
      await using run = await FollowRun.start({ ...KEEP, bucket, location })
      await overrun(bucket, run)
      expect(await run.failure()).toMatchObject({ code: 'RepairRefused' })
      expect(run.keys).toEqual(['a', 'b'])
    }
    expect(location.image!.cursor.revision).toBe(2n)
    await using again = await FollowRun.start({ ...KEEP, bucket, location })
    expect(await again.failure()).toMatchObject({ code: 'RepairRefused' })
  })

  test('end it also with a bookmark, when nothing after them is in scope', async () => {
    const bucket = evicting('a.1', 'b.1')
    const location = new MapLocation()
    await using run = await FollowRun.start({ ...KEEP, bucket, location, scope: { prefix: 'a.' } })
    await run.caughtUp()
    bucket.frozen = true
    for (const key of ['a.2', 'b.2', 'b.3']) bucket.put(key)
    for (const key of ['a.1', 'b.1', 'a.2']) bucket.vanish(key)
    bucket.thaw()
    expect(await run.failure()).toMatchObject({ code: 'RepairRefused' })
    expect(location.image!.cursor.revision! <= 2n).toBe(true)
  })

  test('end it also while it is hydrated, when they came after it began: one may be a delete of what it has', async () => {
    const bucket = evicting('a', 'b')
    bucket.maxBatch = 1
    bucket.holdsHydration = true
    const location = new MapLocation()
    await using run = await FollowRun.start({ ...KEEP, bucket, location })
    await run.until(() => location.image?.cursor.revision === 1n)
    bucket.delete('a')
    bucket.put('c')
    for (const key of ['a', 'b']) bucket.vanish(key)
    bucket.holdsHydration = false
    expect(await run.failure()).toMatchObject({ code: 'RepairRefused' })
  })

  test('are no matter while it is hydrated when they were there before it began: it never had them', async () => {
    const bucket = evicting('a', 'b', 'c')
    bucket.maxBatch = 1
    bucket.holdsHydration = true
    const location = new MapLocation()
    await using run = await FollowRun.start({ ...KEEP, bucket, location })
    await run.until(() => location.image?.cursor.revision === 1n)
    for (const key of ['a', 'b']) bucket.vanish(key)
    bucket.holdsHydration = false
    await run.caughtUp()
    expect(run.keys).toEqual(['a', 'c'])
  })

  test('end it also when the bucket stopped evicting by the time it is asked', async () => {
    const bucket = evicting('a', 'b')
    bucket.vanish('a')
    const location = await folded(bucket)
    expect(seen(location)).toEqual(SEEN)
    for (const key of ['x', 'y', 'z']) bucket.put(key)
    for (const key of ['b', 'x', 'y']) bucket.vanish(key)
    bucket.evicts = false
    await using run = await FollowRun.start({ ...KEEP, bucket, location })
    expect(await run.failure()).toMatchObject({ code: 'RepairRefused' })
  })

  test('are not what a gap of replaced updates is, as long as the bucket begins before it', async () => {
    const bucket = evicting('a', 'b')
    await using run = await FollowRun.start({ ...KEEP, bucket })
    await run.caughtUp()
    bucket.frozen = true
    for (let i = 0; i < 20; i++) bucket.put('b', `${i}`)
    bucket.thaw()
    await run.until(() => textOf(run.follower, 'b') === '19')
    await pauseMs(250)
    expect(run.follower.status.state).toBe('live')
  })

  test('are no matter for a mirror', async () => {
    const bucket = evicting('a', 'b')
    await using run = await FollowRun.start({ bucket, auditIntervalMs: 20 })
    await run.caughtUp()
    bucket.frozen = true
    for (const key of ['x', 'y', 'z']) bucket.put(key)
    for (const key of ['a', 'b', 'x', 'y']) bucket.vanish(key)
    bucket.thaw()
    await run.until(() => run.keys.join() === 'z')
  })
})

test.each([
  ['tombstone', 'keep', 'emptyValuesChanged'],
  ['keep', 'tombstone', 'emptyValuesChanged'],
  ['keep', 'keep', undefined],
  ['tombstone', 'tombstone', undefined],
] as const)('a fold made with empty values as %s and followed with %s: %s', async (before, after, reason) => {
  const bucket = bucketOf('a')
  const location = await folded(bucket, { whenEvicted: 'drop', emptyValues: before })
  await using run = await FollowRun.start({ bucket, location, emptyValues: after })
  await run.caughtUp()
  expect(run.reasons).toEqual(reason === undefined ? [] : [reason satisfies RebuildReason])
  expect(decodeLineage(location.image!.lineage!).binding.emptyValues ?? 'tombstone').toBe(after)
})
