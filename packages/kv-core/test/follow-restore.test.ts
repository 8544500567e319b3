import { decodeLineage, encodeLineage, KvError, SnapshotError } from '@slip/kv-core'
import { describe, expect, test } from 'vitest'
import { folded, giving, type RunOptions } from './artifact-of.ts'
import { FollowRun } from './follow-run.ts'
import { MapLocation, textOf } from './map-store.ts'
import { bucketOf, type TestBucket } from './test-bucket.ts'

const KEEP = { whenEvicted: 'keep', auditIntervalMs: 20 } as const

function evicting(...keys: string[]): TestBucket {
  const bucket = bucketOf(...keys)
  bucket.evicts = true
  bucket.hasReader = true
  return bucket
}

/**
 * A fold that stands at revision 3, with what came and went since: `gone` was deleted, `new` and `b` were
 * written and evicted, and the bucket begins above. `artifact` is of a node that heard all of it.
 */
async function behind(options: RunOptions = {}): Promise<{
  bucket: TestBucket
  location: MapLocation
  artifact: MapLocation
}> {
  const bucket = evicting('a', 'b', 'gone')
  const location = await folded(bucket, { ...KEEP, ...options })
  const artifact = new MapLocation()
  {
    await using other = await FollowRun.start({ ...KEEP, ...options, bucket, location: artifact })
    await other.caughtUp()
    bucket.put('new')
    bucket.put('b', 'again')
    bucket.delete('gone')
    await other.waitFor(bucket.put('last'))
  }
  for (const key of ['a', 'b', 'gone', 'new']) bucket.vanish(key)
  return { bucket, location, artifact }
}

const REPAIRED = ['a', 'b', 'last', 'new']

describe('a replica of record that fell behind', () => {
  test.each(['auto', 'restore'] as const)(
    'takes what it missed from an artifact (%s), and then the tail',
    async (repair) => {
      const { bucket, location, artifact } = await behind()
      const { bootstrap, wanted } = giving(artifact)
      const tail = bucket.put('tail')
      await using run = await FollowRun.start({ ...KEEP, bucket, location, repair, bootstrap })
      await run.caughtUp()
      expect(run.keys).toEqual([...REPAIRED, 'tail'])
      expect(textOf(run.follower, 'b')).toBe('again')
      expect(run.states).toEqual(expect.arrayContaining(['resyncing', 'live']))
      expect(run.reasons).toContain('cursorExpired')
      expect(run.follower.status).toMatchObject({ delivered: 1, relisted: 4, unverified: ['count'] })
      expect(location.image!.cursor.revision).toBe(tail)
      expect(wanted).toEqual([
        {
          kind: 'test',
          name: 'config',
          incarnation: 'first',
          whenEvicted: 'keep',
          prefixes: [''],
          scope: 'covers',
          notBehind: expect.objectContaining({ revision: 3n }),
        },
      ])
    },
  )

  test('hands apply and changes() what it takes, and a removal of what was deleted, and nothing twice', async () => {
    const { bucket, location, artifact } = await behind()
    await using run = await FollowRun.start({ ...KEEP, bucket, location, ...giving(artifact) })
    const seen: string[] = []
    void (async () => {
      for await (const { operation, key, phase } of run.follower.changes())
        seen.push(`${operation} ${key} ${phase}`)
    })()
    await run.caughtUp()
    expect(run.applied.map(({ operation, key, phase, reason }) => [operation, key, phase, reason])).toEqual([
      ['put', 'b', 'resync', undefined],
      ['put', 'last', 'resync', undefined],
      ['put', 'new', 'resync', undefined],
      ['delete', 'gone', 'resync', 'resync'],
    ])
    await run.until(() => seen.length === 4)
    expect(seen).toEqual(['put b resync', 'put last resync', 'put new resync', 'delete gone resync'])
  })

  test('knows what the artifact skipped', async () => {
    const bucket = evicting('a', 'b')
    const [location, artifact] = [new MapLocation(), new MapLocation()]
    for (const each of [location, artifact]) each.features = { maxValueBytes: 8 }
    await folded(bucket, { ...KEEP, location })
    bucket.put('large', 'above the limit')
    bucket.put('c')
    await folded(bucket, { ...KEEP, location: artifact })
    for (const key of ['a', 'b']) bucket.vanish(key)
    bucket.floor = 4n
    await using run = await FollowRun.start({ ...KEEP, bucket, location, ...giving(artifact) })
    await run.caughtUp()
    expect(run.reasons).toContain('cursorExpired')
    expect(run.keys).toEqual(['a', 'b', 'c'])
    expect(run.follower.status.skipped).toBe(1)
  })

  test('moves its cursor with the last commit alone, and is in doubt until then', async () => {
    const { bucket, location, artifact } = await behind()
    const before = location.commits.length
    await using run = await FollowRun.start({
      ...KEEP,
      bucket,
      location,
      ...giving(artifact),
      batch: { maxCount: 1 },
    })
    await run.caughtUp()
    const commits = location.commits.slice(before)
    const moved = commits.findIndex(({ cursor }) => cursor.revision === 7n)
    expect(commits.slice(0, moved).map(({ cursor, count }) => [cursor.revision, count])).toEqual([
      [3n, 1],
      [3n, 1],
      [3n, 1],
      [3n, 1],
    ])
    expect(commits[moved]!.count).toBe(0)
    const settled = commits
      .slice(0, moved + 1)
      .map(({ lineage }) => (lineage === undefined ? undefined : decodeLineage(lineage).settled === true))
    expect(settled).toEqual([false, false, false, false, true])
    expect(decodeLineage(location.image!.lineage!).binding).toMatchObject({
      evictionSeen: true,
      whenEvicted: 'keep',
    })
  })

  test('is repaired while it is followed, without an end, whenever that is needed', async () => {
    const bucket = evicting('a', 'b')
    const heard = evicting('a', 'b')
    const artifact = new MapLocation()
    await using other = await FollowRun.start({ ...KEEP, bucket: heard, location: artifact })
    await using run = await FollowRun.start({ ...KEEP, bucket, ...giving(artifact) })
    await Promise.all([other.caughtUp(), run.caughtUp()])
    for (const [written, last] of [
      ['x', 'y'],
      ['p', 'q'],
    ] as const) {
      bucket.frozen = true
      const [first] = run.keys
      for (const each of [bucket, heard]) {
        each.put(written)
        each.delete(first!)
        each.put(last)
      }
      await other.waitFor(heard.last)
      for (const { key } of run.follower.entries()) bucket.vanish(key)
      bucket.vanish(written)
      bucket.thaw()
      await run.waitFor(bucket.last)
      await run.until(() => run.follower.status.state === 'live')
      expect(run.keys).toEqual(other.keys)
      expect(run.domain).toEqual(other.keys)
    }
    expect(run.reasons.filter((reason) => reason === 'cursorExpired').length).toBeGreaterThan(1)
  })

  test('keeps a key that the bucket lists: its update is still to come', async () => {
    const { bucket, location, artifact } = await behind()
    bucket.put('gone', 'back')
    await using run = await FollowRun.start({ ...KEEP, bucket, location, ...giving(artifact) })
    await run.caughtUp()
    expect(run.keys).toEqual(['a', 'b', 'gone', 'last', 'new'])
    expect(run.applied.filter(({ operation }) => operation === 'delete')).toEqual([])
    expect(textOf(run.follower, 'gone')).toBe('back')
  })

  test('takes from an artifact of more than it follows no more than that', async () => {
    const bucket = evicting('in.a', 'out.a')
    const scope = { prefix: 'in.' }
    const location = await folded(bucket, { ...KEEP, scope })
    bucket.put('in.b')
    bucket.put('out.b')
    const artifact = await folded(bucket, KEEP)
    for (const key of ['in.a', 'out.a', 'in.b']) bucket.vanish(key)
    await using run = await FollowRun.start({ ...KEEP, bucket, location, scope, ...giving(artifact) })
    await run.caughtUp()
    expect(run.keys).toEqual(['in.a', 'in.b'])
  })

  test('is repaired in a store that keeps no lineage', async () => {
    const location = new MapLocation()
    location.features = { lineage: false }
    const { bucket, artifact } = await behind({ location })
    await using run = await FollowRun.start({ ...KEEP, bucket, location, ...giving(artifact) })
    await run.caughtUp()
    expect(run.keys).toEqual(REPAIRED)
    expect(location.image!.cursor.memo?.evictionSeen).toBe(true)
  })

  test('leaves no artifact beside it', async () => {
    const { bucket, location, artifact } = await behind()
    await using run = await FollowRun.start({ ...KEEP, bucket, location, ...giving(artifact) })
    await run.caughtUp()
    expect(location.beside('restore').image).toBeUndefined()
  })
})

describe('an artifact is refused, and the fold stays as it was', () => {
  const lineageOf = (
    artifact: MapLocation,
    change: (lineage: ReturnType<typeof decodeLineage>) => ReturnType<typeof decodeLineage>,
  ): void => {
    artifact.image!.lineage = encodeLineage(change(decodeLineage(artifact.image!.lineage!)))
  }
  const bound = (
    artifact: MapLocation,
    binding: Partial<ReturnType<typeof decodeLineage>['binding']>,
  ): void => lineageOf(artifact, (lineage) => ({ ...lineage, binding: { ...lineage.binding, ...binding } }))

  test.each<[string, RegExp, (artifact: MapLocation, bucket: TestBucket) => void]>([
    ['of another bucket', /another bucket/, (artifact) => bound(artifact, { name: 'other' })],
    ['of another kind of source', /another bucket/, (artifact) => bound(artifact, { kind: 'other' })],
    ['of another incarnation', /another history/, (artifact) => bound(artifact, { incarnation: 'second' })],
    ['of less than is followed', /all that is followed/, (artifact) => bound(artifact, { scope: ['a'] })],
    ['of a mirror', /no replica of record/, (artifact) => bound(artifact, { whenEvicted: 'drop' })],
    ['that keeps empty values', /empty values/, (artifact) => bound(artifact, { emptyValues: 'keep' })],
    [
      'of another history, told by its messages',
      /another history/,
      (artifact) =>
        lineageOf(artifact, (lineage) => ({
          ...lineage,
          anchors: lineage.anchors.map((anchor) => ({ ...anchor, timeMs: anchor.timeMs + 1n })),
        })),
    ],
    ['ahead of the bucket', /ahead of the bucket/, (_, bucket) => void (bucket.last = 6n)],
    [
      'that expired itself',
      /evicted above/,
      (_, bucket) => {
        bucket.put('later')
        bucket.put('latest')
        for (const key of ['last', 'later']) bucket.vanish(key)
      },
    ],
  ])('%s', async (_what, message, spoil) => {
    const { bucket, location, artifact } = await behind()
    spoil(artifact, bucket)
    const before = [...location.image!.entries]
    await using run = await FollowRun.start({ ...KEEP, bucket, location, ...giving(artifact) })
    const failure = await run.failure()
    expect(failure).toMatchObject({ code: 'RepairRefused' })
    expect(String(failure)).toMatch(message)
    expect([...location.image!.entries]).toEqual(before)
    expect(location.image!.cursor.revision).toBe(3n)
    expect(run.applied).toEqual([])
  })

  test('not ahead of the fold', async () => {
    const { bucket, location } = await behind()
    const artifact = new MapLocation()
    artifact.copy(location)
    await using run = await FollowRun.start({ ...KEEP, bucket, location, ...giving(artifact) })
    expect(String(await run.failure())).toMatch(/not ahead/)
  })

  test('where there is none, or it may not be had', async () => {
    const { bucket, location } = await behind()
    {
      await using run = await FollowRun.start({ ...KEEP, bucket, location, bootstrap: async () => false })
      expect(String(await run.failure())).toMatch(/RepairRefused|there is none/)
    }
    const cause = new SnapshotError('ArtifactInvalid', 'a digest differs')
    const bootstrap = async (): Promise<boolean> => {
      throw cause
    }
    await using run = await FollowRun.start({ ...KEEP, bucket, location, bootstrap })
    const failure = (await run.failure()) as KvError
    expect([failure.code, (failure.cause as Error).message]).toEqual(['RepairRefused', 'a digest differs'])
  })

  test('and none is asked for by a mirror, or where the policy does not say so', async () => {
    for (const options of [
      { whenEvicted: 'drop', repair: 'restore' },
      { whenEvicted: 'keep', repair: 'relist' },
      { whenEvicted: 'keep', repair: 'none' },
    ] as const) {
      const { bucket, location, artifact } = await behind({ whenEvicted: options.whenEvicted })
      const { bootstrap, wanted } = giving(artifact)
      await using run = await FollowRun.start({
        auditIntervalMs: 20,
        bucket,
        location,
        bootstrap,
        ...options,
      })
      expect(await run.failure()).toMatchObject({ code: 'RepairRefused' })
      expect(wanted).toEqual([])
    }
  })
})

test.each(['Unreachable', 'Timeout', 'OutcomeUnknown'] as const)(
  'where the artifact is is asked again when it does not answer (%s)',
  async (code) => {
    const { bucket, location, artifact } = await behind()
    let asked = 0
    await using run = await FollowRun.start({
      ...KEEP,
      bucket,
      location,
      bootstrap: async (into) => {
        if (++asked < 3) throw new KvError(code, 'not now')
        ;(into as MapLocation).copy(artifact)
        return true
      },
    })
    await run.caughtUp()
    expect(asked).toBe(3)
    expect(run.keys).toEqual(REPAIRED)
    expect(run.reasons).toContain(code)
  },
)

test('a bucket that evicts while the artifact is fetched has nobody say what was in between', async () => {
  const { bucket, location, artifact } = await behind()
  await using run = await FollowRun.start({
    ...KEEP,
    bucket,
    location,
    bootstrap: async (into) => {
      ;(into as MapLocation).copy(artifact)
      bucket.put('x')
      bucket.put('y')
      for (const key of ['last', 'x']) bucket.vanish(key)
      return true
    },
  })
  expect(String(await run.failure())).toMatch(/evicted above/)
  expect(location.image!.cursor.revision).toBe(3n)
})

test('a key that is written and evicted while the bucket is listed is not taken for a deleted one', async () => {
  const { bucket, location, artifact } = await behind()
  bucket.onListed = () => {
    bucket.onListed = () => undefined
    bucket.put('gone', 'back')
    bucket.put('y')
    for (const key of ['last', 'gone']) bucket.vanish(key)
  }
  await using run = await FollowRun.start({ ...KEEP, bucket, location, ...giving(artifact) })
  expect(String(await run.failure())).toMatch(/evicted above/)
  expect(location.image!.entries.has('gone')).toBe(true)
  expect(location.image!.cursor.revision).toBe(3n)
})

test('what a process that died in a repair left beside the fold is removed by the next', async () => {
  const bucket = evicting('a')
  const location = await folded(bucket, KEEP)
  location.beside('restore').copy(location)
  await using run = await FollowRun.start({ ...KEEP, bucket, location, bootstrap: async () => false })
  await run.caughtUp()
  expect(location.beside('restore').image).toBeUndefined()
})

test('a bucket that cannot be reached while it is listed is listed again, and nothing is given up', async () => {
  const { bucket, location, artifact } = await behind()
  bucket.onListed = () => {
    bucket.onListed = () => undefined
    throw new KvError('Unreachable', 'the connection was lost')
  }
  await using run = await FollowRun.start({ ...KEEP, bucket, location, ...giving(artifact) })
  await run.caughtUp()
  expect(run.keys).toEqual(REPAIRED)
  expect(run.reasons).toContain('Unreachable')
})

describe('a follower that is closed', () => {
  test('while the artifact is fetched ends as it was asked to', async () => {
    const { bucket, location } = await behind()
    let isAsked = false
    const run = await FollowRun.start({
      ...KEEP,
      bucket,
      location,
      bootstrap: (_into, { signal }) => {
        isAsked = true
        return new Promise((_resolve, reject) =>
          signal!.addEventListener('abort', () => reject(signal!.reason as Error)),
        )
      },
    })
    await run.until(() => isAsked)
    await run.follower.close()
    await run.follower.closed
    expect(run.follower.status.state).toBe('closed')
    expect(location.image!.cursor.revision).toBe(3n)
  })

  test('while the artifact is compared ends before it is compared whole', async () => {
    const { bucket, location, artifact } = await behind()
    const { value, version } = artifact.image!.entries.get('a')!
    let isComparedWhole = false
    let run: FollowRun | undefined
    for (let i = 0; i < 1_000; i++) {
      const entry = { key: `a.${i}`, value, version }
      location.image!.entries.set(entry.key, entry)
      artifact.image!.entries.set(entry.key, entry)
    }
    artifact.image!.entries.set('a.0', {
      key: 'a.0',
      value,
      get version() {
        void run?.follower.close()
        return version
      },
    })
    artifact.image!.entries.set('b', {
      key: 'b',
      value,
      get version() {
        isComparedWhole = true
        return version
      },
    })
    run = await FollowRun.start({ ...KEEP, bucket, location, ...giving(artifact) })
    await run.follower.closed
    expect(run.follower.status.state).toBe('closed')
    expect([location.image!.cursor.revision, run.applied, isComparedWhole]).toEqual([3n, [], false])
  })
})

test('an artifact that cannot be opened is no reason to give up what the fold has', async () => {
  const { bucket, location, artifact } = await behind()
  location.beside('restore').failing.open = () => {
    throw new SnapshotError('Io', 'no space left')
  }
  await using run = await FollowRun.start({ ...KEEP, bucket, location, ...giving(artifact) })
  const failure = await run.failure()
  expect(failure).toMatchObject({ code: 'RepairRefused' })
  expect(String(failure)).toMatch(/no space left/)
})
