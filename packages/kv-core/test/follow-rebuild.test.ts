import { KvError, SnapshotError, WatchCursor, type Change } from '@slip/kv-core'
import { describe, expect, test } from 'vitest'
import { FollowRun } from './follow-run.ts'
import { MapLocation, textOf } from './map-store.ts'
import { bucketOf, TestBucket } from './test-bucket.ts'

/** A fold of `bucket`, left by a follower that was closed. */
async function folded(
  bucket: TestBucket,
  options: Parameters<typeof FollowRun.start>[0] = {},
): Promise<MapLocation> {
  const location = options.location ?? new MapLocation()
  await using run = await FollowRun.start({ ...options, bucket, location })
  await run.caughtUp()
  return location
}

describe('a rebuild', () => {
  test('after the bucket was recreated: announced, vanished keys deleted, readers keep the old fold until the swap', async () => {
    await using run = await FollowRun.start({ bucket: bucketOf('a', 'b', 'c') })
    await run.caughtUp()
    const seen: string[][] = []
    run.location.failing.stagedCommit = () => void seen.push(run.keys)
    run.bucket.recreate()
    run.bucket.put('b', 'again')
    run.bucket.put('z')
    run.bucket.breakSessions()
    await run.until(() => run.reasons.includes('bucketRecreated'))
    await run.caughtUp()
    expect(seen).toEqual([['a', 'b', 'c']])
    expect(run.keys).toEqual(['b', 'z'])
    expect(textOf(run.follower, 'b')).toBe('again')
    expect(run.applied.slice(3)).toMatchObject([
      { operation: 'put', key: 'b', phase: 'resync' },
      { operation: 'put', key: 'z', phase: 'resync' },
      { operation: 'delete', key: 'a', reason: 'resync', revision: undefined, phase: 'resync' },
      { operation: 'delete', key: 'c', reason: 'resync', revision: undefined, phase: 'resync' },
    ])
    await run.verified(2n)
    expect(run.follower.status).toMatchObject({ delivered: 3, relisted: 2, applied: 7, verifiedThrough: 2n })
    expect(run.positions).toEqual([3n, 2n])
    await run.waitFor(run.bucket.put('late'))
    expect(run.applied.at(-1)).toMatchObject({ key: 'late', phase: 'live' })
    expect(run.bucket.watches).toHaveLength(2)
  })

  test('after the bucket was recreated while nobody followed, although revisions went further than before', async () => {
    const bucket = bucketOf('a', 'b')
    const location = await folded(bucket)
    bucket.recreate()
    for (const key of ['x', 'y', 'z']) bucket.put(key)
    await using run = await FollowRun.start({ bucket, location })
    await run.caughtUp()
    expect(run.keys).toEqual(['x', 'y', 'z'])
    expect(run.reasons).toEqual(['bucketRecreated'])
  })

  test('after the bucket was rolled back', async () => {
    const bucket = bucketOf('a', 'b', 'c')
    const location = await folded(bucket)
    bucket.rollBack(1n)
    await using run = await FollowRun.start({ bucket, location })
    await run.caughtUp()
    expect(run.keys).toEqual(['a'])
    expect(run.reasons).toEqual(['bucketRolledBack'])
  })

  test.each([true, undefined])('after the cursor expired where evictsCurrentValues is %s', async (evicts) => {
    const bucket = bucketOf('a', 'b')
    bucket.evicts = evicts
    const location = await folded(bucket)
    bucket.vanish('a')
    for (const key of ['x', 'y', 'z']) bucket.put(key)
    bucket.vanish('b')
    bucket.floor = 4n
    bucket.vanish('x')
    await using run = await FollowRun.start({ bucket, location })
    await run.caughtUp()
    expect(run.keys).toEqual(['y', 'z'])
    expect(run.reasons).toEqual(['cursorExpired'])
    expect(run.follower.status).toMatchObject({ delivered: 0, relisted: 2 })
    // Eviction that was certain is remembered with the cursor.
    expect(location.image!.cursor.memo !== undefined).toBe(evicts === true)
  })

  test('because the source refuses the position, although its description allows it', async () => {
    await using run = await FollowRun.start({ bucket: bucketOf('a') })
    await run.caughtUp()
    run.bucket.put('b')
    await run.waitFor(2n)
    run.bucket.breakSessions(new KvError('Unreachable', 'first'))
    await run.until(() => run.bucket.watches.length === 2)
    run.bucket.breakSessions(new KvError('CursorExpired', 'the position is gone'))
    await run.until(() => run.states.includes('resyncing'))
    await run.caughtUp()
    expect(run.reasons).toContain('cursorExpired')
    expect(run.follower.status.relisted).toBe(2)
  })

  test('because keys vanished without a message, found by the count at once and at the interval', async () => {
    const bucket = bucketOf('a', 'b', 'c')
    const location = await folded(bucket)
    bucket.vanish('b')
    await using run = await FollowRun.start({ bucket, location, auditIntervalMs: 50 })
    await run.caughtUp()
    expect(run.keys).toEqual(['a', 'c'])
    expect(run.reasons).toContain('countMismatch')
    expect(run.states.slice(0, run.states.indexOf('resyncing'))).not.toContain('live')
    bucket.vanish('a')
    await run.until(() => run.keys.length === 1)
    await run.caughtUp()
    expect(run.domain).toEqual(['c'])
    await run.verified(3n)
    expect(run.follower.status.verifiedThrough).toBe(3n)
  })

  test('for a wrong count is followed by another at once where a key vanished meanwhile', async () => {
    const bucket = bucketOf('a', 'b', 'c', 'd')
    const location = await folded(bucket)
    bucket.vanish('b')
    const going = ['c', 'd']
    location.failing.stagedCommit = () => {
      const key = going.shift()
      if (key !== undefined) bucket.vanish(key)
    }
    await using run = await FollowRun.start({ bucket, location, auditIntervalMs: 60_000 })
    await run.until(() => run.keys.length === 1 && run.follower.status.state === 'live')
    expect(run.states.filter((state) => state === 'resyncing')).toHaveLength(3)
    expect(run.states).not.toContain('stale')
    expect(run.keys).toEqual(['a'])
    await run.until(() => run.follower.status.verifiedThrough === run.bucket.last)
    expect(run.follower.status.unverified).not.toContain('count')
  })

  test('for a wrong count is made twice, not for ever, where the counts stay as far apart', async () => {
    const bucket = bucketOf('a', 'b')
    await using run = await FollowRun.start({ bucket, auditIntervalMs: 60_000 })
    await run.caughtUp()
    bucket.countOffset = 1n
    bucket.breakSessions()
    await run.until(() => run.states.includes('resyncing') && run.follower.status.state === 'live')
    expect(run.follower.status.unverified).toContain('count')
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(run.states.filter((state) => state === 'resyncing')).toHaveLength(2)
  })

  test('because applied revisions were delivered again, in two sessions in a row', async () => {
    await using run = await FollowRun.start({ bucket: bucketOf('a', 'b') })
    await run.caughtUp()
    run.bucket.redeliver('a')
    await run.until(() => run.bucket.watches.length === 2)
    run.bucket.redeliver('a')
    await run.until(() => run.reasons.includes('brokenLineage'))
    await run.caughtUp()
    expect(run.follower.status.relisted).toBe(2)
    expect(run.keys).toEqual(['a', 'b'])
  })

  test('for a count that is never equal happens ever more rarely; the count is not trusted, and says so', async () => {
    const bucket = bucketOf('a')
    bucket.countOffset = 1n
    await using run = await FollowRun.start({ bucket, auditIntervalMs: 20 })
    await run.caughtUp()
    expect(run.follower.status.unverified).toContain('count')
    await new Promise((resolve) => setTimeout(resolve, 700))
    const rebuilds = run.states.filter((state) => state === 'resyncing').length
    // At 0, 20, 40, 80, 160, 320 and 640 ms or a little later.
    expect(rebuilds).toBeGreaterThanOrEqual(3)
    expect(rebuilds).toBeLessThanOrEqual(8)
    expect(run.follower.status.verifiedThrough).toBeUndefined()
    bucket.countOffset = 0n
    await run.until(() => run.follower.status.verifiedThrough === 1n)
    expect(run.follower.status.unverified).not.toContain('count')
  })

  test('for a count during which another key vanished is followed by one more', async () => {
    const bucket = bucketOf('a', 'b', 'c')
    let vanishing = true
    await using run = await FollowRun.start({
      bucket,
      auditIntervalMs: 50,
      apply: (_, { phase }) => {
        if (phase === 'resync' && vanishing) bucket.vanish('b')
        vanishing &&= phase !== 'resync'
      },
    })
    await run.caughtUp()
    await run.verified(3n)
    bucket.vanish('a')
    await run.until(() => !vanishing)
    await run.until(() => run.keys.join() === 'c')
    await run.verified(3n)
    expect(run.follower.status).toMatchObject({ state: 'live', unverified: [] })
  })

  test('counts deleted keys and leaves deleted keys alone', async () => {
    const bucket = bucketOf('a', 'b')
    bucket.delete('a')
    const location = await folded(bucket)
    await using run = await FollowRun.start({ bucket, location })
    await run.caughtUp()
    await run.verified(3n)
    expect(run.follower.status).toMatchObject({ relisted: 0, verifiedThrough: 3n })
  })

  test('goes on from where it was when its session breaks', async () => {
    const bucket = bucketOf('old')
    const location = await folded(bucket)
    bucket.recreate()
    for (let i = 0; i < 300; i++) bucket.put(`new.${i}`)
    let applies = 0
    location.failing.stagedApply = () => {
      if (++applies === 2) bucket.breakSessions()
    }
    await using run = await FollowRun.start({ bucket, location, batch: { maxCount: 100 } })
    await run.caughtUp()
    expect(run.follower.status).toMatchObject({ relisted: 300, entries: 300 })
    expect(run.applied).toHaveLength(301)
    expect(bucket.watches.map(({ after }) => after)).toEqual([undefined, undefined, 200n])
  })

  test('that is cut short leaves the old fold, and is begun again by the next follower', async () => {
    const bucket = bucketOf('a', 'b')
    const location = await folded(bucket)
    bucket.recreate()
    for (let i = 0; i < 300; i++) bucket.put(`new.${i}`)
    location.failing.stagedApply = () => {
      bucket.frozen = true
    }
    {
      await using run = await FollowRun.start({ bucket, location, batch: { maxCount: 100 } })
      await run.until(() => run.follower.status.relisted > 0)
    }
    expect([...location.image!.entries.keys()]).toEqual(['a', 'b'])
    location.failing = {}
    bucket.frozen = false
    await using run = await FollowRun.start({ bucket, location })
    await run.caughtUp()
    expect(run.follower.status.entries).toBe(300)
  })

  test('deletes many vanished keys in chunks', async () => {
    const bucket = new TestBucket()
    for (let i = 0; i < 3_000; i++) bucket.put(`key.${i}`)
    const location = await folded(bucket)
    bucket.recreate()
    const sizes: number[] = []
    await using run = await FollowRun.start({
      bucket,
      location,
      apply: (batch) => void sizes.push(batch.length),
    })
    await run.caughtUp()
    expect(sizes).toEqual([1024, 1024, 952])
    expect(run.keys).toEqual([])
  })

  test.each([true, false])(
    'of a store that cannot stage happens in place (can be set aside: %s)',
    async (aside) => {
      const bucket = bucketOf('a', 'b')
      const location = new MapLocation()
      location.features = { staging: false }
      if (!aside) Object.defineProperty(location, 'setAside', { value: undefined })
      await folded(bucket, { location })
      bucket.recreate()
      bucket.put('z')
      await using run = await FollowRun.start({ bucket, location })
      await run.caughtUp()
      expect(run.keys).toEqual(['z'])
      expect(run.applied.map(({ key, operation }) => `${operation} ${key}`)).toEqual([
        'delete a',
        'delete b',
        'put z',
      ])
      expect(location.setAsides).toBe(aside ? 1 : 0)
      if (aside) await run.verified(1n)
      else expect(run.follower.status.unverified).toContain('count')
    },
  )

  test('in place that is cut short is begun again: a fold without a position is not resumed', async () => {
    const bucket = bucketOf('a', 'b')
    const location = await folded(bucket)
    location.image!.cursor = WatchCursor.none
    bucket.vanish('a')
    await using run = await FollowRun.start({ bucket, location })
    await run.caughtUp()
    expect(run.keys).toEqual(['b'])
    expect(run.reasons).toEqual(['cursorMissing'])
  })

  test('whose commit fails starts over and does not lose the old fold', async () => {
    const bucket = bucketOf('a')
    const location = await folded(bucket)
    bucket.recreate()
    bucket.put('z')
    let failures = 0
    location.failing.stagedCommit = () => {
      if (++failures <= 2) throw new SnapshotError('Io', 'no space left')
    }
    await using run = await FollowRun.start({ bucket, location })
    await run.caughtUp()
    expect(failures).toBe(3)
    expect(run.keys).toEqual(['z'])
  })

  test('whose store fails half-way starts over from nothing, for the same reason', async () => {
    const bucket = bucketOf('a', 'b')
    const location = await folded(bucket)
    bucket.vanish('a')
    for (let i = 0; i < 250; i++) bucket.put(`new.${i}`)
    let applies = 0
    location.failing.stagedApply = () => {
      if (++applies === 2) throw new SnapshotError('Io', 'no space left')
    }
    await using run = await FollowRun.start({ bucket, location, batch: { maxCount: 100 } })
    await run.caughtUp()
    await run.verified(252n)
    expect(run.follower.status).toMatchObject({ entries: 251, verifiedThrough: 252n })
    expect(run.reasons).not.toContain('redelivered')
    expect(run.domain).toEqual(run.keys)
    expect(bucket.watches.map(({ after }) => after)).toEqual([undefined, 2n, undefined, undefined])
  })

  test('after the bucket was rolled back under a session that did not notice, found by the audit', async () => {
    await using run = await FollowRun.start({ bucket: bucketOf('a', 'b', 'c'), auditIntervalMs: 30 })
    await run.caughtUp()
    run.bucket.rollBack(1n)
    await run.until(() => run.keys.length === 1)
    await run.caughtUp()
    expect(run.reasons).toContain('bucketRolledBack')
    expect(run.domain).toEqual(['a'])
  })

  test('after the bucket was recreated under a session that did not notice, found by the audit', async () => {
    await using run = await FollowRun.start({ bucket: bucketOf('a', 'b'), auditIntervalMs: 30 })
    await run.caughtUp()
    run.bucket.recreate()
    run.bucket.put('z')
    await run.until(() => run.keys[0] === 'z')
    await run.caughtUp()
    expect(run.reasons).toContain('bucketRecreated')
  })

  test('that can never be committed fails within the budget, with the old fold untouched', async () => {
    const bucket = bucketOf('a')
    const location = await folded(bucket)
    bucket.recreate()
    bucket.put('z')
    location.failing.stagedCommit = () => {
      throw new SnapshotError('Io', 'no space left')
    }
    await using run = await FollowRun.start({ bucket, location, retryBudgetMs: 200 })
    expect(await run.failure()).toMatchObject({ code: 'Io' })
    expect(run.keys).toEqual(['a'])
  })
})

describe('the fold of something else', () => {
  const others: Record<string, (bucket: TestBucket) => Parameters<typeof FollowRun.start>[0]> = {
    'another bucket': (bucket) => {
      bucket.name = 'other'
      return {}
    },
    'another scope': () => ({ scope: { prefix: 'a' } }),
  }

  test.each(Object.keys(others))('%s is refused and untouched', async (what) => {
    const bucket = bucketOf('a', 'b')
    const location = await folded(bucket)
    const before = location.image
    await using run = await FollowRun.start({ ...others[what]!(bucket), bucket, location })
    expect(await run.failure()).toMatchObject({ name: 'SnapshotError', code: 'ForeignFold' })
    expect(run.follower.status).toMatchObject({ state: 'failed', reason: 'ForeignFold' })
    expect(location.image).toBe(before)
    expect(location.setAsides).toBe(0)
    expect(run.keys).toEqual(['a', 'b'])
  })

  test.each(Object.keys(others))('%s is set aside on request', async (what) => {
    const bucket = bucketOf('a', 'b')
    const location = await folded(bucket)
    bucket.put('aa')
    await using run = await FollowRun.start({
      ...others[what]!(bucket),
      bucket,
      location,
      onForeignFold: 'rebuild',
    })
    await run.caughtUp()
    expect(location.setAsides).toBe(1)
    expect(run.keys).toContain('aa')
  })
})

describe('a rebuild and changes()', () => {
  test('are seen after the swap, in order, with phase resync', async () => {
    await using run = await FollowRun.start({ bucket: bucketOf('a', 'b') })
    await run.caughtUp()
    const changes = run.follower.changes()
    run.bucket.recreate()
    run.bucket.put('b', 'again')
    run.bucket.breakSessions()
    await run.until(() => run.reasons.includes('bucketRecreated'))
    await run.caughtUp()
    const seen: Change[] = []
    for await (const change of changes) if (seen.push(change) === 2) break
    expect(seen.map(({ key, operation, phase }) => [key, operation, phase])).toEqual([
      ['b', 'put', 'resync'],
      ['a', 'delete', 'resync'],
    ])
  })

  /** What a reader makes of what the fold held and of the changes it got. */
  async function foldInto(changes: AsyncIterable<Change>, keys: Set<string>): Promise<void> {
    for await (const { key, operation } of changes) {
      if (operation === 'put') keys.add(key)
      else keys.delete(key)
    }
  }

  test('are told also of a swap that went through without an answer', async () => {
    const bucket = bucketOf('a', 'b', 'c')
    let failures = 0
    await using run = await FollowRun.start({ bucket, auditIntervalMs: 50 })
    await run.caughtUp()
    const known = new Set(run.keys)
    const told = foldInto(run.follower.changes(), known)
    run.location.failing.stagedCommitted = () => {
      bucket.vanish('b')
      if (++failures === 1) throw new SnapshotError('Io', 'no answer')
    }
    bucket.vanish('a')
    await run.until(() => run.keys.join() === 'c')
    await run.caughtUp()
    expect(failures).toBeGreaterThan(1)
    await run.follower.close()
    await told
    expect([...known]).toEqual(['c'])
  })

  test('are not told of a swap that did not go through', async () => {
    const bucket = bucketOf('a', 'b')
    await using run = await FollowRun.start({ bucket })
    await run.caughtUp()
    const changes = run.follower.changes()
    let failures = 0
    run.location.failing.stagedCommit = () => {
      if (++failures <= 2) throw new SnapshotError('Io', 'no space left')
    }
    bucket.recreate()
    bucket.put('c')
    bucket.breakSessions()
    await run.until(() => failures === 3)
    await run.caughtUp()
    const seen: Change[] = []
    for await (const change of changes) if (seen.push(change) === 3) break
    expect(seen.map(({ key, operation }) => [key, operation])).toEqual([
      ['c', 'put'],
      ['a', 'delete'],
      ['b', 'delete'],
    ])
  })

  test('end with ChangesLagged for a reader that began half-way', async () => {
    const bucket = bucketOf('old')
    await using run = await FollowRun.start({ bucket, batch: { maxCount: 100 } })
    await run.caughtUp()
    let begun: Promise<void> | undefined
    run.location.failing.stagedApply = () => {
      if (run.follower.status.relisted === 0 || begun !== undefined) return
      begun = foldInto(run.follower.changes(), new Set())
      begun.catch(() => undefined)
    }
    bucket.recreate()
    for (let i = 0; i < 300; i++) bucket.put(`new.${i}`)
    bucket.breakSessions()
    await run.until(() => begun !== undefined)
    await expect(begun).rejects.toMatchObject({ code: 'ChangesLagged' })
    expect(run.keys).toHaveLength(300)
  })
})
