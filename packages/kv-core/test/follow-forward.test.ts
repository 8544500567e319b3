import { KvError, SnapshotError } from '@slip/kv-core'
import { describe, expect, test } from 'vitest'
import { folded, giving, type Bootstrap, type RunOptions } from './artifact-of.ts'
import { FollowRun } from './follow-run.ts'
import { MapLocation, textOf } from './map-store.ts'
import { bucketOf, type TestBucket } from './test-bucket.ts'

const BEHIND = { bootstrapBehind: 3, auditIntervalMs: 20 } as const

/**
 * A fold at revision 3 of a bucket that goes on to 7: `gone` was deleted, `b` written again, `new` and `last` are new.
 * `artifact` is of a node that stands there. No session of the bucket yields anything before it is told to.
 */
async function behind(options: RunOptions = {}): Promise<{
  bucket: TestBucket
  location: MapLocation
  artifact: MapLocation
}> {
  const bucket = bucketOf('a', 'b', 'gone')
  const location = await folded(bucket, options)
  bucket.put('new')
  bucket.put('b', 'again')
  bucket.delete('gone')
  bucket.put('last')
  const artifact = await folded(bucket, options)
  bucket.deafSessions = true
  return { bucket, location, artifact }
}

const resyncing = (run: FollowRun) => (): boolean => run.states.includes('resyncing')

describe('a fold that is far behind its bucket', () => {
  test('is replaced by an artifact that is ahead of it, and then receives the tail alone', async () => {
    const { bucket, location, artifact } = await behind()
    const { bootstrap, wanted, places } = giving(artifact)
    await using run = await FollowRun.start({ ...BEHIND, bucket, location, bootstrap })
    await run.until(resyncing(run))
    await run.until(() => bucket.watches.at(-1)?.after === 7n)
    expect(run.keys).toEqual(['a', 'b', 'gone'])
    const tail = bucket.put('tail')
    bucket.deafSessions = false
    await run.waitFor(tail)
    await run.caughtUp()
    expect(run.keys).toEqual(['a', 'b', 'last', 'new', 'tail'])
    expect(textOf(run.follower, 'b')).toBe('again')
    expect(run.reasons).toEqual(expect.arrayContaining(['artifactFetched', 'behindArtifact']))
    await run.verified(tail)
    expect(run.follower.status).toMatchObject({ state: 'live', unverified: [], entries: 5 })
    expect(wanted).toEqual([
      {
        kind: 'test',
        name: 'config',
        incarnation: 'first',
        whenEvicted: 'drop',
        prefixes: [''],
        notBehind: expect.objectContaining({ revision: 6n }),
      },
    ])
    expect(await places[0]!.exists()).toBe(false)
  })

  test('hands apply and changes() what differs alone, and removals of what is gone, once', async () => {
    const { bucket, location, artifact } = await behind()
    await using run = await FollowRun.start({ ...BEHIND, bucket, location, ...giving(artifact) })
    const seen: string[] = []
    void (async () => {
      for await (const { operation, key, phase } of run.follower.changes())
        seen.push(`${operation} ${key} ${phase}`)
    })()
    await run.until(resyncing(run))
    bucket.deafSessions = false
    await run.caughtUp()
    expect(run.applied.map(({ operation, key, phase, reason }) => [operation, key, phase, reason])).toEqual([
      ['put', 'b', 'resync', undefined],
      ['put', 'last', 'resync', undefined],
      ['put', 'new', 'resync', undefined],
      ['delete', 'gone', 'resync', 'resync'],
    ])
    await run.until(() => seen.length === 4)
    expect(seen).toEqual(['put b resync', 'put last resync', 'put new resync', 'delete gone resync'])
    expect(run.follower.status).toMatchObject({ delivered: 0, relisted: 3 })
  })

  test('goes on in commits no larger than a batch, and keeps what the artifact knows of deleted keys', async () => {
    const { bucket, location, artifact } = await behind()
    const batch = { maxCount: 1 }
    await using run = await FollowRun.start({ ...BEHIND, bucket, location, batch, ...giving(artifact) })
    await run.until(resyncing(run))
    bucket.deafSessions = false
    await run.caughtUp()
    await run.verified(7n)
    expect([...location.image!.deleted.keys()]).toEqual(['gone'])
  })

  test('goes on by itself while the artifact is fetched, and drops it once it is in step', async () => {
    const { bucket, location } = await behind()
    let aborted = false
    const bootstrap: Bootstrap = (_, { signal }) =>
      new Promise((_resolve, reject) => {
        signal!.addEventListener('abort', () => {
          aborted = true
          reject(signal!.reason as Error)
        })
      })
    await using run = await FollowRun.start({ ...BEHIND, bucket, location, bootstrap })
    await run.until(() => bucket.watches.length > 2)
    bucket.deafSessions = false
    await run.caughtUp()
    await run.until(() => aborted)
    expect(run.states).not.toContain('resyncing')
    expect(run.follower.status).toMatchObject({ delivered: 4, relisted: 0, sessions: 1 })
    expect(run.follower.status.bootstrapError).toBeUndefined()
  })

  test('ends a fetch with its follower, and leaves nothing of it', async () => {
    const { bucket, location, artifact } = await behind()
    let place: MapLocation | undefined
    const bootstrap: Bootstrap = (into, { signal }) => {
      place = into as MapLocation
      place.copy(artifact)
      return new Promise((_resolve, reject) =>
        signal!.addEventListener('abort', () => reject(signal!.reason as Error)),
      )
    }
    const run = await FollowRun.start({ ...BEHIND, bucket, location, bootstrap })
    await run.until(() => place !== undefined)
    await run.follower.close()
    expect(await place!.exists()).toBe(false)
  })

  test('knows what the artifact skipped', async () => {
    const features = { maxValueBytes: 8 }
    const location = new MapLocation()
    location.features = features
    const bucket = bucketOf('a', 'b')
    await folded(bucket, { location })
    bucket.put('large', 'above the limit')
    for (const key of ['c', 'd']) bucket.put(key)
    const artifact = new MapLocation()
    artifact.features = features
    await folded(bucket, { location: artifact })
    bucket.deafSessions = true
    await using run = await FollowRun.start({ ...BEHIND, bucket, location, ...giving(artifact) })
    await run.until(resyncing(run))
    bucket.deafSessions = false
    await run.caughtUp()
    await run.verified(5n)
    expect(run.follower.status).toMatchObject({ skipped: 1, entries: 4 })
  })

  test('says why no artifact came, and is not held up by it', async () => {
    const { bucket, location } = await behind()
    const error = new KvError('PermissionDenied', 'no artifact for you')
    await using run = await FollowRun.start({
      ...BEHIND,
      bucket,
      location,
      bootstrap: () => Promise.reject(error),
    })
    await run.until(() => run.follower.status.bootstrapError === error)
    expect(run.follower.status.error).toBeUndefined()
    bucket.deafSessions = false
    await run.caughtUp()
    expect(run.states).not.toContain('resyncing')
  })

  test('asks once for as many revisions', async () => {
    const { bucket, location } = await behind()
    let asked = 0
    const bootstrap: Bootstrap = async () => {
      asked++
      return false
    }
    await using run = await FollowRun.start({ ...BEHIND, bucket, location, bootstrap })
    await run.until(() => asked === 1)
    for (const sessions of [2, 3]) {
      bucket.breakSessions()
      await run.until(() => run.follower.status.sessions === sessions)
    }
    expect(asked).toBe(1)
    for (const key of ['x', 'y', 'z']) bucket.put(key)
    bucket.breakSessions()
    await run.until(() => asked === 2)
    bucket.deafSessions = false
    await run.caughtUp()
  })
})

describe('when it goes wrong half-way', () => {
  test('a bucket that is rolled back below the artifact is followed anew, from nothing', async () => {
    const { bucket, location, artifact } = await behind()
    const seen = new Map<string, string | undefined>()
    await using run = await FollowRun.start({
      ...BEHIND,
      bucket,
      location,
      ...giving(artifact),
      apply: (batch) => {
        for (const update of batch)
          if (update.operation === 'put') seen.set(update.key, new TextDecoder().decode(update.value))
          else seen.delete(update.key)
        if (bucket.last === 7n) bucket.rollBack(4n)
        bucket.deafSessions = false
      },
    })
    await run.caughtUp()
    await run.verified(4n)
    expect(run.keys).toEqual(['a', 'new'])
    expect(run.reasons).toContain('bucketRolledBack')
    expect(bucket.watches.map(({ after }) => after)).not.toContain(7n)
    expect([...seen.keys()].sort()).toEqual(run.keys)
  })

  test('a bucket that is rolled back before the artifact is looked at is followed as it was', async () => {
    const { bucket, location, artifact } = await behind()
    const { bootstrap } = giving(artifact)
    await using run = await FollowRun.start({
      ...BEHIND,
      bucket,
      location,
      bootstrap: async (into, options) => {
        await bootstrap(into, options)
        bucket.rollBack(6n)
        return true
      },
    })
    await run.until(() => run.follower.status.bootstrapError !== undefined)
    bucket.deafSessions = false
    await run.caughtUp()
    expect(run.keys).toEqual(['a', 'b', 'new'])
  })

  test('a source that does not answer is asked again, and the second fold is gone on with', async () => {
    const { bucket, location, artifact } = await behind()
    const cut = new KvError('Unreachable', 'cut off')
    const { opened } = bucket
    await using run = await FollowRun.start({
      ...BEHIND,
      bucket,
      location,
      ...giving(artifact),
      apply: () => {
        if (bucket.opened === opened + 1) bucket.unreachable = cut
      },
    })
    await run.until(() => run.follower.status.error === cut)
    bucket.unreachable = undefined
    bucket.deafSessions = false
    await run.caughtUp()
    expect(run.follower.status).toMatchObject({ delivered: 0, relisted: 3 })
    expect(run.keys).toEqual(['a', 'b', 'last', 'new'])
  })

  test('an artifact that was fetched waits for a source that does not answer', async () => {
    const { bucket, location, artifact } = await behind()
    const { bootstrap, wanted } = giving(artifact)
    const at = bucket.history.at.bind(bucket.history)
    let failures = 0
    Object.assign(bucket.history, {
      at: async (revision: bigint) => {
        if (revision === 7n && failures++ === 0) throw new KvError('Unreachable', 'cut off')
        return at(revision)
      },
    })
    await using run = await FollowRun.start({ ...BEHIND, bucket, location, bootstrap })
    await run.until(resyncing(run))
    expect(failures).toBeGreaterThan(1)
    bucket.deafSessions = false
    await run.caughtUp()
    expect(wanted.length).toBe(1)
    expect(run.follower.status).toMatchObject({ delivered: 0, relisted: 3 })
  })

  test('a second fold that cannot be written is made anew from the bucket', async () => {
    const { bucket, location, artifact } = await behind()
    let failures = 0
    location.failing.stagedApply = () => {
      if (failures++ === 1) throw new SnapshotError('Io', 'no')
    }
    const batch = { maxCount: 1 }
    await using run = await FollowRun.start({ ...BEHIND, bucket, location, batch, ...giving(artifact) })
    await run.until(() => failures > 1)
    bucket.deafSessions = false
    await run.caughtUp()
    await run.verified(7n)
    expect(run.keys).toEqual(['a', 'b', 'last', 'new'])
    expect(run.domain.filter((key) => key !== 'a')).toEqual(['b', 'last', 'new'])
    expect(run.follower.status.delivered + run.follower.status.relisted).toBeGreaterThan(4)
  })

  test('an artifact that cannot be read to its end is given up, and the fold made anew from the bucket', async () => {
    const { bucket, location, artifact } = await behind()
    const damage = new SnapshotError('Corrupted', 'a page is damaged')
    artifact.failing.entry = (key) => {
      if (key === 'new') throw damage
    }
    await using run = await FollowRun.start({
      ...BEHIND,
      bucket,
      location,
      batch: { maxCount: 1 },
      ...giving(artifact),
    })
    await run.until(() => run.follower.status.bootstrapError === damage)
    bucket.deafSessions = false
    await run.caughtUp()
    await run.verified(7n)
    expect(run.keys).toEqual(['a', 'b', 'last', 'new'])
    expect(run.domain.filter((key) => key !== 'a')).toEqual(['b', 'last', 'new'])
  })

  test('a follower that is closed as the artifact is looked at ends in order', async () => {
    const { bucket, location, artifact } = await behind()
    const at = bucket.history.at.bind(bucket.history)
    let isAsked = false
    Object.assign(bucket.history, {
      at: (revision: bigint, options: { readonly signal: AbortSignal }) => {
        if (revision !== 7n) return at(revision)
        isAsked = true
        return new Promise((_resolve, reject) =>
          options.signal.addEventListener('abort', () => reject(options.signal.reason as Error)),
        )
      },
    })
    const run = await FollowRun.start({ ...BEHIND, bucket, location, ...giving(artifact) })
    await run.until(() => isAsked)
    await run.follower.close()
    expect(run.follower.status.state).toBe('closed')
    expect(await location.beside('restore').exists()).toBe(false)
  })

  test('a follower that is closed meanwhile leaves the fold as it was', async () => {
    const { bucket, location, artifact } = await behind()
    const before = location.image
    const stop = new AbortController()
    const run = await FollowRun.start({
      ...BEHIND,
      bucket,
      location,
      ...giving(artifact),
      batch: { maxCount: 1 },
      signal: stop.signal,
      apply: () => stop.abort(),
    })
    await run.follower.closed.catch(() => undefined)
    await run.follower.close()
    expect([...location.image!.entries.keys()].sort()).toEqual(['a', 'b', 'gone'])
    expect(location.image!.cursor.revision).toBe(before!.cursor.revision)
    expect(await location.beside('restore').exists()).toBe(false)
  })
})

describe('a fold goes on as it is', () => {
  test.each<[string, RunOptions]>([
    ['that is not as far behind', { bootstrapBehind: 5 }],
    ['where nobody wants an artifact', { bootstrapBehind: false }],
    ['where nothing may be built anew', { repair: 'none' }],
    ['where nothing may be built anew from a listing', { repair: 'restore' }],
  ])('%s', async (_, options) => {
    const { bucket, location, artifact } = await behind()
    const { bootstrap, wanted } = giving(artifact)
    await using run = await FollowRun.start({ ...BEHIND, ...options, bucket, location, bootstrap })
    await run.until(() => bucket.watches.length > 2)
    bucket.deafSessions = false
    await run.caughtUp()
    expect(wanted).toEqual([])
    expect(run.follower.status).toMatchObject({ delivered: 4, sessions: 1 })
  })

  test('by default, when it lacks less than 10,000 revisions', async () => {
    const { bucket, location, artifact } = await behind()
    const { bootstrap, wanted } = giving(artifact)
    await using run = await FollowRun.start({ bucket, location, bootstrap })
    await run.until(() => bucket.watches.length > 2)
    bucket.deafSessions = false
    await run.caughtUp()
    expect(wanted).toEqual([])
  })

  test('that is a replica of record and may have what its bucket evicted', async () => {
    const { bucket, location, artifact } = await behind({ whenEvicted: 'keep' })
    bucket.evicts = true
    bucket.floor = 2n
    const { bootstrap, wanted } = giving(artifact)
    await using run = await FollowRun.start({ ...BEHIND, whenEvicted: 'keep', bucket, location, bootstrap })
    await run.until(() => bucket.watches.length > 2)
    bucket.deafSessions = false
    await run.caughtUp()
    expect(wanted).toEqual([])
  })

  test('whose store cannot hold a second one', async () => {
    const { bucket, location, artifact } = await behind()
    location.features = { staging: false }
    const { bootstrap, wanted } = giving(artifact)
    await using run = await FollowRun.start({ ...BEHIND, bucket, location, bootstrap })
    await run.until(() => bucket.watches.length > 2)
    bucket.deafSessions = false
    await run.caughtUp()
    expect(wanted).toEqual([])
  })

  test.each<[string, (artifact: MapLocation, bucket: TestBucket) => void | Promise<void>]>([
    [
      'is of another history',
      async (artifact) => {
        const other = bucketOf('a', 'b', 'gone', 'x', 'y', 'z', 'w', 'v')
        artifact.copy(await folded(other))
      },
    ],
    ['states no history', (artifact) => void (artifact.image!.lineage = undefined)],
    [
      'is not as far ahead as was wanted',
      async (artifact) => {
        artifact.copy(await folded(bucketOf('a', 'b')))
      },
    ],
    [
      'cannot be opened',
      (artifact) => {
        artifact.failing.open = () => {
          throw new SnapshotError('Corrupted', 'damaged')
        }
      },
    ],
    [
      'cannot be compared, since the bucket tells nothing of its history',
      (_, bucket) => void (bucket.hasHistory = false),
    ],
  ])('where the artifact %s', async (_, spoil) => {
    const { bucket, location, artifact } = await behind()
    await spoil(artifact, bucket)
    const { bootstrap, wanted, places } = giving(artifact)
    const before = location.image
    await using run = await FollowRun.start({ ...BEHIND, bucket, location, bootstrap })
    await run.until(() => run.follower.status.bootstrapError !== undefined)
    expect(run.follower.status.bootstrapError).toMatchObject({ name: 'SnapshotError' })
    bucket.deafSessions = false
    await run.caughtUp()
    expect(wanted.length).toBe(1)
    expect(run.states).not.toContain('resyncing')
    expect(run.keys).toEqual(['a', 'b', 'last', 'new'])
    expect(location.image).toBe(before)
    expect(await places[0]!.exists()).toBe(false)
  })
})
