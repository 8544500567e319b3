import { decodeLineage, KvError, type SourceOpener } from '@slip/kv-core'
import { describe, expect, test } from 'vitest'
import { FollowRun } from './follow-run.ts'
import { MapLocation, textOf } from './map-store.ts'
import { bucketOf, numbered, TestBucket } from './test-bucket.ts'

/** A fold of `bucket`, left by a follower that was closed. */
async function folded(bucket: TestBucket, location = new MapLocation()): Promise<MapLocation> {
  {
    await using run = await FollowRun.start({ bucket, location })
    await run.caughtUp()
  }
  bucket.asked.length = 0
  return location
}

const kept = (location: MapLocation): string[] =>
  decodeLineage(location.image!.lineage!).anchors.map(({ key, revision }) => `${key}@${revision}`)

describe('what a fold remembers of its history', () => {
  test('is stored with the commits: all with large ones and at the end, few with small ones in between', async () => {
    const bucket = numbered(100)
    const location = new MapLocation()
    {
      await using run = await FollowRun.start({ bucket, location })
      await run.caughtUp()
      expect(kept(location)).toEqual(Array.from({ length: 64 }, (_, i) => `key.${36 + i}@${37 + i}`))
      expect(decodeLineage(location.image!.lineage!).anchorsComplete).toBeUndefined()
      for (let i = 0; i < 5; i++) {
        const revision = bucket.put(`small.${i}`)
        await run.waitFor(revision)
        expect(kept(location).at(-1)).toBe(`small.${i}@${revision}`)
      }
      const sizes = location.commits.map(({ lineage }) => lineage && decodeLineage(lineage).anchors.length)
      expect(sizes).toContain(4)
    }
    expect(kept(location)).toHaveLength(64)
    const opens = location.commits.length
    await folded(bucket, location)
    expect(location.commits).toHaveLength(opens)
  })

  test('names every key of a small bucket, and says so', async () => {
    const bucket = bucketOf('a', 'b')
    bucket.delete('a')
    const location = await folded(bucket)
    expect(kept(location)).toEqual(['b@2', 'a@3'])
    expect(decodeLineage(location.image!.lineage!).anchorsComplete).toBe(true)
  })

  test('is that of the new history after a rebuild', async () => {
    const bucket = bucketOf('a', 'b', 'c')
    const location = await folded(bucket)
    bucket.recreate()
    bucket.put('z')
    await folded(bucket, location)
    expect(kept(location)).toEqual(['z@1'])
  })

  test('is gone on with: after a restart the next commit has the old and the new', async () => {
    const bucket = bucketOf('a', 'b')
    const location = await folded(bucket)
    bucket.put('c')
    await folded(bucket, location)
    expect(kept(location)).toEqual(['a@1', 'b@2', 'c@3'])
  })
})

describe('a bucket that was rolled back and written further than before', () => {
  test.each(['while nobody followed', 'between two sessions'])('%s is another history', async (when) => {
    const bucket = bucketOf('a', 'b', 'c')
    const location = when === 'between two sessions' ? new MapLocation() : await folded(bucket)
    await using run = await FollowRun.start({ bucket, location })
    await run.caughtUp()
    bucket.rollBack(1n)
    for (const key of ['x', 'b', 'y', 'z']) bucket.put(key, 'second time')
    bucket.breakSessions()
    await run.until(() => run.reasons.includes('bucketRolledBack'))
    await run.caughtUp()
    expect(run.keys).toEqual(['a', 'b', 'x', 'y', 'z'])
    expect(textOf(run.follower, 'b')).toBe('second time')
    expect(run.follower.status.unverified).toEqual([])
    // The session that resumed would have applied the new history on top of the old.
    expect(bucket.watches.at(-1)).toMatchObject({ after: undefined })
  })

  test('is another history also for a store that keeps no lineage, in one process', async () => {
    const bucket = bucketOf('a', 'b', 'c')
    const location = new MapLocation()
    location.features = { lineage: false }
    await using run = await FollowRun.start({ bucket, location })
    await run.caughtUp()
    bucket.rollBack(1n)
    for (const key of ['x', 'y', 'z']) bucket.put(key)
    bucket.breakSessions()
    await run.until(() => run.reasons.includes('bucketRolledBack'))
    await run.caughtUp()
    expect(run.keys).toEqual(['a', 'x', 'y', 'z'])
  })

  test('is believed when the bucket says so twice: one answer of a server that lags is not enough', async () => {
    const bucket = bucketOf('a', 'b', 'c')
    const location = await folded(bucket)
    bucket.laggingAnswers = 1
    bucket.asked.length = 0
    await using run = await FollowRun.start({ bucket, location })
    await run.caughtUp()
    expect(run.reasons).toEqual([])
    expect(bucket.asked.slice(0, 3)).toEqual(['at 3', 'at 3', 'at 3'])
    expect(run.follower.status.relisted).toBe(0)
  })
})

describe('a bucket that is put back between the proof of its history and the start of the watch', () => {
  /** Does `change` once, when a watch is asked for and has yet to begin. */
  function beforeWatch(bucket: TestBucket, change: () => void): SourceOpener {
    let done = false
    return async () => {
      const source = bucket.source()
      const { watcher } = source
      return {
        ...source,
        watcher: {
          ...watcher,
          watch: (scope, options) => {
            if (!done) change()
            done = true
            return watcher.watch(scope, options)
          },
        },
      }
    }
  }

  test('is not gone on with: nothing of the new history is committed on top of the old', async () => {
    const bucket = bucketOf('a', 'b', 'c')
    const location = await folded(bucket)
    const commits = location.commits.length
    const source = beforeWatch(bucket, () => {
      bucket.rollBack(1n)
      for (const key of ['x', 'b', 'y', 'z']) bucket.put(key, 'second time')
    })
    await using run = await FollowRun.start({ bucket, location, source, auditIntervalMs: false })
    await run.caughtUp()
    expect(run.reasons).toEqual(['unproven', 'bucketRolledBack'])
    expect(run.states.slice(0, run.states.indexOf('resyncing'))).not.toContain('live')
    expect(run.keys).toEqual(['a', 'b', 'x', 'y', 'z'])
    expect(textOf(run.follower, 'b')).toBe('second time')
    expect(location.commits).toHaveLength(commits)
  })

  test('is found with one question more, and none where nothing was proven', async () => {
    const bucket = bucketOf('a', 'b', 'c')
    const location = new MapLocation()
    {
      await using run = await FollowRun.start({ bucket, location, auditIntervalMs: false })
      await run.caughtUp()
      expect(bucket.asked).toEqual([])
    }
    await using run = await FollowRun.start({ bucket, location, auditIntervalMs: false })
    await run.caughtUp()
    expect(bucket.asked).toEqual(['at 3', 'at 3'])
  })

  test('is asked for again when it does not answer', async () => {
    const bucket = bucketOf('a', 'b', 'c')
    const location = await folded(bucket)
    const source = beforeWatch(bucket, () => (bucket.historyFails = new KvError('Timeout', 'no answer')))
    await using run = await FollowRun.start({ bucket, location, source })
    await run.until(() => run.reasons.includes('unanswered'))
    bucket.historyFails = undefined
    await run.caughtUp()
    expect(run.follower.status.unverified).toEqual([])
  })
})

describe('a history that cannot be asked for', () => {
  test.each([
    ['is not offered', (bucket: TestBucket) => (bucket.hasHistory = false)],
    ['is forbidden', (bucket: TestBucket) => (bucket.historyFails = new KvError('PermissionDenied', 'no'))],
  ])('because it %s leaves the fold usable, and the status says anchors', async (_why, spoil) => {
    const bucket = bucketOf('a')
    const location = await folded(bucket)
    spoil(bucket)
    bucket.put('b')
    await using run = await FollowRun.start({ bucket, location })
    await run.caughtUp()
    expect(run.follower.status).toMatchObject({ state: 'live', unverified: ['anchors'], delivered: 1 })
  })

  test('is told of a fold that begins too, before its first audit is due', async () => {
    const bucket = bucketOf('a')
    bucket.historyFails = new KvError('PermissionDenied', 'no')
    await using run = await FollowRun.start({ bucket, location: new MapLocation(), auditIntervalMs: 600_000 })
    await run.caughtUp()
    await run.until(() => run.follower.status.unverified.includes('anchors'))
    expect(run.follower.status).toMatchObject({ state: 'live', unverified: ['anchors'] })
  })

  test('and then may be asked is proven at the next audit', async () => {
    const bucket = bucketOf('a')
    bucket.historyFails = new KvError('PermissionDenied', 'no')
    await using run = await FollowRun.start({ bucket, location: new MapLocation(), auditIntervalMs: 20 })
    await run.until(() => run.follower.status.unverified.includes('anchors'))
    bucket.historyFails = undefined
    await run.until(() => run.follower.status.unverified.length === 0)
  })

  test('because nobody answers is a source that is not reached', async () => {
    const bucket = bucketOf('a')
    const location = await folded(bucket)
    bucket.historyFails = new KvError('Timeout', 'no answer')
    await using run = await FollowRun.start({ bucket, location })
    await run.until(() => run.reasons.includes('Timeout'))
    expect(run.follower.status).toMatchObject({ state: 'connecting', sessions: 0 })
    bucket.historyFails = undefined
    await run.caughtUp()
    expect(run.follower.status.unverified).toEqual([])
  })

  test('because the fold remembers nothing of it: the status says anchors', async () => {
    const bucket = bucketOf('a')
    const location = await folded(bucket)
    location.image!.lineage = undefined
    bucket.asked.length = 0
    await using run = await FollowRun.start({ bucket, location })
    await run.caughtUp()
    expect(run.follower.status.unverified).toEqual(['lineage', 'anchors'])
    expect(bucket.asked).toEqual([])
  })
})
