import { protocol, SnapshotError } from '@slip/kv-core'
import { describe, expect, test } from 'vitest'
import { FollowRun } from './follow-run.ts'
import { MapLocation } from './map-store.ts'
import { bucketOf, type TestBucket } from './test-bucket.ts'

type StartOptions = Parameters<typeof FollowRun.start>[0]

const BATCH = { maxCount: 100 }
const noSpace = (): SnapshotError => new SnapshotError('Io', 'no space left')

/** A fold of `bucket`, left by a follower that was closed. */
async function folded(bucket: TestBucket, location = new MapLocation()): Promise<MapLocation> {
  await using run = await FollowRun.start({ bucket, location })
  await run.caughtUp()
  return location
}

/** A follower whose rebuild of a, b and new.0 to new.249 meets `on` at its second batch. */
async function rebuilding(on: (bucket: TestBucket) => void, options: StartOptions = {}): Promise<FollowRun> {
  const bucket = bucketOf('a', 'b')
  const location = await folded(bucket, options.location)
  bucket.recreate()
  for (let i = 0; i < 250; i++) bucket.put(`new.${i}`)
  let applies = 0
  location.failing.stagedApply = () => {
    if (++applies === 2) on(bucket)
  }
  return FollowRun.start({ batch: BATCH, ...options, bucket, location })
}

/** What `apply` was told to forget, up to the first update that comes after it. */
function takenBack(run: FollowRun): readonly string[] {
  const from = run.applied.findIndex(({ operation }) => operation === 'delete')
  const rest = run.applied.slice(from)
  const to = rest.findIndex(({ operation }) => operation === 'put')
  return rest.slice(0, to).map(({ key }) => key)
}

describe('a rebuild that is given up takes back what apply was given', () => {
  test('when the store fails half-way, the batch in flight too', async () => {
    await using run = await rebuilding((bucket) => {
      bucket.vanish('new.0')
      bucket.vanish('new.150')
      throw noSpace()
    })
    await run.caughtUp()
    expect(run.keys).toHaveLength(248)
    expect(run.domain).toEqual([...run.keys].sort())
    const given = Array.from({ length: 200 }, (_, i) => `new.${i}`)
    expect([...takenBack(run)].sort()).toEqual(given.sort())
    const told = run.applied.filter(({ key, operation }) => key === 'new.0' && operation === 'delete')
    expect(told).toMatchObject([{ reason: 'resync', revision: undefined, phase: 'resync' }])
  })

  test('when the bucket is recreated once more', async () => {
    await using run = await rebuilding((bucket) => {
      bucket.recreate()
      bucket.put('z')
      bucket.breakSessions()
    })
    await run.until(() => run.keys.join() === 'z')
    await run.caughtUp()
    expect(run.domain).toEqual(['z'])
    expect(takenBack(run).length).toBeGreaterThanOrEqual(100)
  })

  test.each(['stagedCommit', 'stagedCommitted'] as const)('when the swap fails (%s)', async (moment) => {
    const bucket = bucketOf('a', 'b')
    const location = await folded(bucket)
    bucket.recreate()
    for (const key of ['b', 'y', 'z']) bucket.put(key)
    let failures = 0
    location.failing[moment] = () => {
      if (++failures > 1) return
      bucket.vanish('y')
      throw noSpace()
    }
    await using run = await FollowRun.start({ bucket, location })
    await run.until(() => failures === 2)
    await run.caughtUp()
    expect(run.keys).toEqual(['b', 'z'])
    expect(run.domain).toEqual(['b', 'z'])
  })

  test('in chunks, and leaves what the fold in use has', async () => {
    const bucket = bucketOf('a', 'kept')
    const location = await folded(bucket)
    bucket.recreate()
    bucket.put('kept')
    for (let i = 0; i < 2_500; i++) bucket.put(`new.${i}`)
    const deleted: number[] = []
    let failures = 0
    location.failing.stagedCommit = () => {
      if (++failures === 1) throw noSpace()
    }
    await using run = await FollowRun.start({
      bucket,
      location,
      apply: (batch) => {
        if (batch.every(({ operation }) => operation === 'delete')) deleted.push(batch.length)
      },
    })
    await run.caughtUp()
    expect(failures).toBe(2)
    // What vanished, what is taken back, and what vanished once more.
    expect(deleted).toEqual([1, 1024, 1024, 452, 1])
  })

  test('before a reader of changes sees any of it', async () => {
    const bucket = bucketOf('a')
    await using run = await FollowRun.start({ bucket })
    await run.caughtUp()
    const changes = run.follower.changes()
    let failures = 0
    run.location.failing.stagedCommit = () => {
      if (++failures === 1) throw noSpace()
    }
    bucket.recreate()
    bucket.put('z')
    bucket.breakSessions()
    await run.until(() => failures === 2)
    await run.caughtUp()
    await run.follower.close()
    const seen: string[] = []
    for await (const { key, operation } of changes) seen.push(`${operation} ${key}`)
    expect(seen).toEqual(['put z', 'delete a'])
  })

  test('all of it where the fold in use cannot be read any more', async () => {
    let failing = false
    await using run = await rebuilding(
      (bucket) => {
        failing = true
        bucket.vanish('new.0')
        throw noSpace()
      },
      { location: unreadableWhile(() => failing) },
    )
    await run.until(() => run.applied.some(({ operation }) => operation === 'delete'))
    failing = false
    await run.caughtUp()
    expect(run.domain).toEqual([...run.keys].sort())
    expect(run.keys).toHaveLength(249)
  })

  test('again when apply fails meanwhile', async () => {
    let refusals = 0
    const live = new Set<string>()
    await using run = await rebuilding(
      (bucket) => {
        bucket.vanish('new.0')
        throw noSpace()
      },
      {
        apply: (batch) => {
          if (batch[0]!.operation === 'delete' && ++refusals <= 2) throw new Error('not now')
          for (const { key, operation } of batch) {
            if (operation === 'put') live.add(key)
            else live.delete(key)
          }
        },
      },
    )
    await run.caughtUp()
    expect(refusals).toBeGreaterThan(2)
    expect([...live].sort()).toEqual([...run.keys].sort())
  })

  test('or ends with what apply ended with', async () => {
    await using run = await rebuilding(
      () => {
        throw noSpace()
      },
      {
        retryBudgetMs: 200,
        apply: (batch) => {
          if (batch[0]!.operation === 'delete') throw new Error('never')
        },
      },
    )
    expect(await run.failure()).toMatchObject({ name: 'KvError', code: 'ApplyFailed' })
    expect(run.keys).toEqual(['a', 'b'])
  })

  test('or ends with the error of a staged fold that cannot be read', async () => {
    const location = new MapLocation()
    location.failing.stagedKeys = () => {
      throw new SnapshotError('Backend', 'it is gone')
    }
    await using run = await rebuilding(
      () => {
        throw noSpace()
      },
      { location, retryBudgetMs: 200 },
    )
    expect(await run.failure()).toMatchObject({ name: 'SnapshotError', code: 'Backend' })
  })

  test('but not at the end of the follower, which comes at once', async () => {
    const run = await rebuilding((bucket) => void (bucket.frozen = true))
    await run.until(() => run.follower.status.relisted > 0)
    await run.follower.close()
    expect(run.applied.every(({ operation }) => operation === 'put')).toBe(true)
  })

  test('but not of a fold that is hydrated in its place, which is resumed', async () => {
    const bucket = bucketOf('a', 'b')
    const location = new MapLocation()
    location.features = { staging: false }
    await folded(bucket, location)
    bucket.recreate()
    for (let i = 0; i < 250; i++) bucket.put(`new.${i}`)
    let applies = 0
    location.failing.apply = (batch) => {
      if (batch.length > 0 && ++applies === 2) throw noSpace()
    }
    await using run = await FollowRun.start({ batch: BATCH, bucket, location })
    await run.caughtUp()
    expect(applies).toBeGreaterThan(2)
    expect(run.applied.flatMap(({ key, operation }) => (operation === 'delete' ? [key] : []))).toEqual([
      'a',
      'b',
    ])
    expect(run.domain).toEqual([...run.keys].sort())
  })
})

test('takesBack: what the fold in use is not known to hold, and only where all is listed again', () => {
  const told = [true, false, undefined].map((held) =>
    [true, false].map((relists) => protocol.takesBack({ held, relists })),
  )
  expect(told).toEqual([
    [false, false],
    [true, false],
    [true, false],
  ])
})

/** A place whose fold cannot be asked for a key while `is` says so. */
function unreadableWhile(is: () => boolean): MapLocation {
  const location = new MapLocation()
  location.failing.has = () => {
    if (is()) throw new SnapshotError('Corrupted', 'a bad page')
  }
  return location
}
