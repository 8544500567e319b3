import { SnapshotError, WatchCursor } from '@slip/kv-core'
import { describe, expect, test } from 'vitest'
import { FollowRun } from './follow-run.ts'
import { MapLocation } from './map-store.ts'
import { bucketOf } from './test-bucket.ts'

describe('what is above the limits of the store', () => {
  const limited = (): MapLocation => {
    const location = new MapLocation()
    location.features = { maxKeyBytes: 10, maxValueBytes: 10 }
    return location
  }

  test('is skipped and counted; the count still agrees', async () => {
    const bucket = bucketOf('a', 'a-very-long-key')
    bucket.put('big', 'x'.repeat(11))
    await using run = await FollowRun.start({ bucket, location: limited() })
    await run.caughtUp()
    await run.verified(3n)
    expect(run.keys).toEqual(['a'])
    expect(run.follower.status).toMatchObject({
      skipped: 2,
      delivered: 3,
      verifiedThrough: 3n,
      state: 'live',
    })
    expect(run.applied.map(({ key }) => key)).toEqual(['a', 'a-very-long-key', 'big'])
  })

  test('is never served as its older value, and no longer skipped once it fits', async () => {
    const bucket = bucketOf('k')
    await using run = await FollowRun.start({ bucket, location: limited() })
    await run.caughtUp()
    await run.waitFor(bucket.put('k', 'x'.repeat(11)))
    expect(run.follower.has('k')).toBe(false)
    expect(run.follower.status.skipped).toBe(1)
    await run.waitFor(bucket.put('k', 'fits'))
    expect(run.follower.has('k')).toBe(true)
    expect(run.follower.status.skipped).toBe(0)
  })

  test('is remembered with the fold: a restart receives only the difference, and the count agrees', async () => {
    const bucket = bucketOf('a', 'a-very-long-key', 'another-long-key')
    bucket.put('big', 'x'.repeat(11))
    const location = limited()
    {
      await using run = await FollowRun.start({ bucket, location })
      await run.caughtUp()
    }
    bucket.put('b')
    await using run = await FollowRun.start({ bucket, location })
    await run.caughtUp()
    await run.verified(5n)
    expect(run.follower.status).toMatchObject({
      skipped: 3,
      delivered: 1,
      relisted: 0,
      verifiedThrough: 5n,
      unverified: [],
    })
    bucket.put('a-very-long-key', 'again')
    bucket.delete('another-long-key')
    await run.waitFor(bucket.put('big', 'fits'))
    expect(run.follower.status.skipped).toBe(2)
    bucket.breakSessions()
    await run.waitFor(bucket.put('c'))
    await run.caughtUp()
    expect(run.follower.status).toMatchObject({ skipped: 2, relisted: 0 })
  })

  test('is as it was at the cursor when the fold comes back older', async () => {
    const bucket = bucketOf('a')
    const location = limited()
    await using run = await FollowRun.start({ bucket, location })
    await run.caughtUp()
    const older = location.image!.lineage
    await run.waitFor(bucket.put('a-very-long-key'))
    expect(run.follower.status.skipped).toBe(1)
    let failed = false
    location.failing.apply = () => {
      if (failed) return
      failed = true
      location.image!.cursor = WatchCursor.fromRevision(1n)
      location.image!.lineage = older
      throw new SnapshotError('Io', 'lost a page')
    }
    await run.waitFor(bucket.put('c'))
    await run.caughtUp()
    await run.verified(3n)
    expect(run.follower.status).toMatchObject({ skipped: 1, relisted: 0, verifiedThrough: 3n })
  })

  test('is remembered by a rebuild, of the new history only', async () => {
    const bucket = bucketOf('a-very-long-key', 'a')
    const location = limited()
    {
      await using run = await FollowRun.start({ bucket, location })
      await run.caughtUp()
    }
    bucket.recreate()
    for (let i = 0; i < 20; i++) bucket.put(`k.${i}`)
    bucket.put('the-newest-long-key')
    {
      await using run = await FollowRun.start({ bucket, location, batch: { maxCount: 5 } })
      await run.caughtUp()
      await run.verified(21n)
      expect(run.follower.status).toMatchObject({ skipped: 1, relisted: 21, verifiedThrough: 21n })
    }
    await using run = await FollowRun.start({ bucket, location })
    await run.caughtUp()
    await run.verified(21n)
    expect(run.follower.status).toMatchObject({ skipped: 1, relisted: 0, verifiedThrough: 21n })
  })

  test('ends the follower under fail, without a retry', async () => {
    const bucket = bucketOf('a')
    bucket.put('big', 'x'.repeat(11))
    const location = limited()
    await using run = await FollowRun.start({ bucket, location, oversize: 'fail' })
    expect(await run.failure()).toMatchObject({ code: 'LimitExceeded', cursor: WatchCursor.none })
    expect(location.opens).toBe(1)
    expect(location.commits).toEqual([])
  })
})
