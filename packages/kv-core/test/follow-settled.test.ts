import { decodeLineage, KvError } from '@slip/kv-core'
import { describe, expect, test } from 'vitest'
import { FollowRun } from './follow-run.ts'
import { MapLocation, textOf } from './map-store.ts'
import { bucketOf, numbered, type TestBucket } from './test-bucket.ts'

const isSettled = (location: MapLocation): boolean => decodeLineage(location.image!.lineage!).settled === true

/**
 * The newest applied update is k1 at 3, and the fold has k0 at 1, which was written at 2 and again at 4: no state the
 * bucket was ever in. Gives how the bucket was at 3.
 */
async function cutOff(): Promise<{ bucket: TestBucket; location: MapLocation; putBack: () => void }> {
  const bucket = bucketOf('k0')
  bucket.hasReader = true
  bucket.maxBatch = 1
  const location = new MapLocation()
  {
    await using run = await FollowRun.start({ bucket, location })
    await run.caughtUp()
  }
  bucket.put('k0', 'second')
  bucket.put('k1')
  const second = bucket.newest('k0')!
  bucket.put('k0', 'third')
  {
    await using run = await FollowRun.start({
      bucket,
      location,
      batch: { maxCount: 1 },
      onApplied: ({ revision }) => void (bucket.frozen = revision === 3n),
    })
    await run.until(() => location.image!.cursor.revision === 3n)
  }
  bucket.frozen = false
  expect(location.image!.cursor.revision).toBe(3n)
  return {
    bucket,
    location,
    putBack: () => {
      bucket.rollBack(3n)
      bucket.uncover('k0', second)
    },
  }
}

describe('a fold that was cut off while it caught up', () => {
  test('is listed before it is live: agreeing with its history proves nothing', async () => {
    const { bucket, location, putBack } = await cutOff()
    putBack()
    await using run = await FollowRun.start({ bucket, location })
    await run.caughtUp()
    expect(run.reasons).toContain('revisionMismatch')
    expect(run.states.slice(0, run.states.indexOf('resyncing'))).not.toContain('live')
    expect(textOf(run.follower, 'k0')).toBe('second')
  })

  test('goes on without a rebuild where the bucket was not put back, and is settled then', async () => {
    const { bucket, location } = await cutOff()
    await using run = await FollowRun.start({ bucket, location })
    await run.caughtUp()
    expect(bucket.listings).toBe(1)
    expect(run.reasons).toEqual([])
    expect(run.follower.status).toMatchObject({ delivered: 1, relisted: 0, unverified: [] })
    await run.follower.close()
    expect(isSettled(location)).toBe(true)
  })

  test('is in doubt until it was listed, also when that is cut off, and whatever came since', async () => {
    const { bucket, location, putBack } = await cutOff()
    putBack()
    bucket.onListed = () => {
      throw new KvError('Timeout', 'no answer')
    }
    {
      await using run = await FollowRun.start({ bucket, location })
      await run.until(() => bucket.listings > 0)
      await run.waitFor(bucket.put('k2'))
    }
    expect(isSettled(location)).toBe(false)
    bucket.onListed = () => undefined
    await using run = await FollowRun.start({ bucket, location })
    await run.caughtUp()
    expect(textOf(run.follower, 'k0')).toBe('second')
  })

  test('of a source that cannot be listed says that its anchors prove nothing', async () => {
    const { bucket, location } = await cutOff()
    bucket.hasReader = false
    await using run = await FollowRun.start({ bucket, location })
    await run.caughtUp()
    expect(run.follower.status.unverified).toEqual(['anchors'])
  })
})

describe('a fold is settled', () => {
  test('with the commit that ends its hydration, and not before', async () => {
    const location = new MapLocation()
    const bucket = numbered(30)
    for (let i = 0; i < 30; i += 2) bucket.put(`key.${i}`, 'again')
    bucket.maxBatch = 10
    await using run = await FollowRun.start({ bucket, location, batch: { maxCount: 10 } })
    await run.caughtUp()
    const told = location.commits.map(({ lineage }) => lineage && decodeLineage(lineage).settled === true)
    expect(told.length).toBeGreaterThan(2)
    expect(told.slice(0, 2)).toEqual([false, false])
    expect(told.at(-1)).toBe(true)
  })

  test('as long as no revision is missing, and a restart without changes commits nothing', async () => {
    const location = new MapLocation()
    const bucket = numbered(3)
    {
      await using run = await FollowRun.start({ bucket, location })
      await run.caughtUp()
      await run.waitFor(bucket.put('key.1', 'again'))
    }
    expect(isSettled(location)).toBe(true)
    const { length } = location.commits
    await using run = await FollowRun.start({ bucket, location })
    await run.caughtUp()
    await run.verified(4n)
    await run.follower.close()
    expect(location.commits.length).toBe(length)
    expect(run.follower.status.unverified).toEqual([])
  })
})
