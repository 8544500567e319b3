import { KvError, VersionToken, type KvUpdate } from '@slip/kv-core'
import { describe, expect, test } from 'vitest'
import { FollowRun } from './follow-run.ts'
import { MapLocation, textOf } from './map-store.ts'
import { bucketOf, numbered, TestBucket } from './test-bucket.ts'

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

/** With two revisions of each key, the older of which can be uncovered. */
function deep(...keys: string[]): { bucket: TestBucket; older: Map<string, KvUpdate> } {
  const bucket = bucketOf(...keys)
  bucket.historyPerKey = 2
  bucket.hasReader = true
  const older = new Map(keys.map((key) => [key, bucket.newest(key)!]))
  for (const key of keys) bucket.put(key, `${key} new`)
  return { bucket, older }
}

describe('where a bucket keeps more than one revision of a key', () => {
  test('a listing comes before live, and only it says through which revision the fold was verified', async () => {
    const { bucket } = deep('a', 'b')
    const atListing: unknown[] = []
    await using run = await FollowRun.start({
      bucket,
      auditIntervalMs: 20,
    })
    bucket.onListed = () =>
      void atListing.push([run.follower.status.state, run.follower.status.verifiedThrough])
    await run.caughtUp()
    expect(atListing.slice(0, 2)).toEqual([
      ['catchingUp', undefined],
      ['catchingUp', undefined],
    ])
    expect(run.follower.status).toMatchObject({ verifiedThrough: 4n, unverified: [], relisted: 0 })
  })

  test('a listing that is quick is made at every audit, a slow one takes a small part of the time', async () => {
    const { bucket } = deep('a')
    let listings = 0
    bucket.onListed = () => void listings++
    await using run = await FollowRun.start({ bucket, auditIntervalMs: 20 })
    await run.caughtUp()
    await run.until(() => listings > 10)
    bucket.answerMs = 350
    const before = listings
    await new Promise((resolve) => setTimeout(resolve, 3_000))
    expect(listings - before).toBeLessThanOrEqual(3)
  })

  test.each(['while nobody followed', 'under a live follower'])(
    'a newest revision that was removed %s is found, and the older one served',
    async (when) => {
      const { bucket, older } = deep('a', 'b', 'c')
      const location = when === 'under a live follower' ? new MapLocation() : await folded(bucket)
      if (location.image !== undefined) bucket.uncover('b', older.get('b')!)
      await using run = await FollowRun.start({ bucket, location, auditIntervalMs: 30 })
      await run.caughtUp()
      bucket.uncover('b', older.get('b')!)
      await run.until(() => run.reasons.includes('revisionMismatch'))
      await run.caughtUp()
      expect(textOf(run.follower, 'b')).toBe('b')
      expect(textOf(run.follower, 'a')).toBe('a new')
      expect(run.applied.at(-1)).toMatchObject({ key: 'c', phase: 'resync' })
      await run.until(() => run.follower.status.verifiedThrough === 6n)
    },
  )

  test('a source that cannot be listed leaves the values unverified, and says so', async () => {
    const { bucket } = deep('a')
    bucket.hasReader = false
    await using run = await FollowRun.start({ bucket, auditIntervalMs: 10 })
    await run.caughtUp()
    await new Promise((resolve) => setTimeout(resolve, 60))
    expect(run.follower.status.unverified).toEqual(['revisions'])
    expect(run.follower.status.verifiedThrough).toBeUndefined()
  })

  test('a listing that never equals the fold is believed once; then it is not, and says so', async () => {
    const { bucket } = deep('a', 'b')
    bucket.listedAs = (listed) =>
      listed.key === 'b' ? { ...listed, version: VersionToken.fromRevision(1n) } : listed
    await using run = await FollowRun.start({ bucket, auditIntervalMs: 20 })
    await run.caughtUp()
    expect(run.reasons).toEqual(['revisionMismatch', 'revisionMismatch'])
    expect(run.follower.status.unverified).toEqual(['revisions'])
    const sessions = bucket.watches.length
    await new Promise((resolve) => setTimeout(resolve, 150))
    expect(bucket.watches).toHaveLength(sessions)
    expect(run.follower.status.verifiedThrough).toBeUndefined()
    bucket.listedAs = (listed) => listed
    await run.until(() => run.follower.status.verifiedThrough === 4n)
    expect(run.follower.status.unverified).toEqual([])
  })

  test('updates that arrive while the bucket is listed are no differences', async () => {
    const { bucket } = deep(...Array.from({ length: 50 }, (_, i) => `key.${i}`))
    const location = await folded(bucket)
    let written = 0
    bucket.onListed = async (key) => {
      if (written++ < 60) bucket.put(`key.${(written * 7) % 50}`, 'meanwhile')
      if (written === 20) bucket.delete('key.3')
      if (written === 30) bucket.delete('key.49')
      if (key === 'key.9') await new Promise((resolve) => setTimeout(resolve, 5))
    }
    await using run = await FollowRun.start({ bucket, location, auditIntervalMs: 10 })
    await run.caughtUp()
    await run.until(() => run.follower.status.verifiedThrough === bucket.last, 20_000)
    expect(run.reasons).toEqual([])
    expect(run.follower.status.relisted).toBe(0)
  })

  test('keys and values above the limits of the store are no differences either', async () => {
    const { bucket } = deep('a', 'a-key-that-is-too-long')
    bucket.put('b', 'x'.repeat(200))
    const location = new MapLocation()
    location.features = { maxKeyBytes: 10, maxValueBytes: 100 }
    await folded(bucket, { location })
    await using run = await FollowRun.start({ bucket, location, auditIntervalMs: 10 })
    await run.caughtUp()
    await run.until(() => run.follower.status.verifiedThrough === bucket.last)
    expect(run.follower.status).toMatchObject({ skipped: 2, relisted: 0 })
  })

  test('what was uncovered below a value above the limits is found, and served', async () => {
    const bucket = bucketOf('a')
    bucket.historyPerKey = 2
    bucket.hasReader = true
    bucket.put('b', 'fits')
    const older = bucket.newest('b')!
    bucket.put('b', 'x'.repeat(200))
    // More than there are anchors: only a listing can find it.
    for (let i = 0; i < 80; i++) bucket.put(`key.${i}`)
    const location = new MapLocation()
    location.features = { maxKeyBytes: 10, maxValueBytes: 100 }
    await using run = await FollowRun.start({ bucket, location, auditIntervalMs: 10 })
    await run.caughtUp()
    expect(run.follower.status).toMatchObject({ skipped: 1, relisted: 0 })
    bucket.uncover('b', older)
    await run.until(() => run.reasons.includes('revisionMismatch'))
    await run.caughtUp()
    expect(textOf(run.follower, 'b')).toBe('fits')
    expect(run.follower.status.skipped).toBe(0)
  })

  test('where empty values are entries the keys that are listed are compared all the same', async () => {
    const { bucket, older } = deep('a', 'b')
    const location = await folded(bucket, { emptyValues: 'keep' })
    location.image!.entries.set('empty', { ...location.image!.entries.get('a')!, key: 'empty' })
    bucket.uncover('b', older.get('b')!)
    await using run = await FollowRun.start({ bucket, location, emptyValues: 'keep' })
    await run.until(() => run.reasons.includes('revisionMismatch') || run.reasons.includes('countMismatch'))
  })
})

describe('a fold whose anchors are all gone', () => {
  /** More keys than anchors, and all that are remembered were written again while nobody followed. */
  async function forgotten(): Promise<{ bucket: TestBucket; location: MapLocation }> {
    const bucket = numbered(80)
    bucket.hasReader = true
    const location = await folded(bucket)
    for (let i = 16; i < 80; i++) bucket.put(`key.${i}`, 'again')
    return { bucket, location }
  }

  test('goes on, is compared with a listing before it is live, and then nothing is left unverified', async () => {
    const { bucket, location } = await forgotten()
    await using run = await FollowRun.start({ bucket, location })
    const states: string[] = []
    bucket.onListed = () => void states.push(run.follower.status.state)
    await run.caughtUp()
    expect(bucket.listings).toBe(1)
    expect(new Set(states)).toEqual(new Set(['catchingUp']))
    expect(run.follower.status).toMatchObject({ delivered: 64, relisted: 0, unverified: [] })
    expect(run.follower.status.verifiedThrough).toBe(144n)
  })

  test('is built anew when the listing differs', async () => {
    const { bucket, location } = await forgotten()
    // Another history that happens to have the same numbers: two keys stand at each other's revision.
    const [three, five] = [bucket.newest('key.3')!, bucket.newest('key.5')!]
    bucket.uncover('key.3', { ...five, key: 'key.3' })
    bucket.uncover('key.5', { ...three, key: 'key.5' })
    await using run = await FollowRun.start({ bucket, location })
    await run.until(() => run.reasons.includes('revisionMismatch'))
    await run.caughtUp()
    expect(run.keys).toHaveLength(80)
    expect(run.states.slice(0, run.states.indexOf('resyncing'))).not.toContain('live')
  })

  test('is not live as long as the listing cannot be had', async () => {
    const { bucket, location } = await forgotten()
    bucket.onListed = () => {
      throw new KvError('Timeout', 'no answer')
    }
    await using run = await FollowRun.start({ bucket, location, auditIntervalMs: false })
    await run.until(() => bucket.listings >= 2)
    expect(run.follower.status).toMatchObject({ state: 'catchingUp', unverified: ['anchors'] })
    expect(run.states).not.toContain('live')
    bucket.onListed = () => undefined
    await run.caughtUp()
    expect(run.follower.status.unverified).toEqual([])
  })

  test('of a source that cannot be listed goes on, and says what is not verified', async () => {
    const { bucket, location } = await forgotten()
    bucket.hasReader = false
    await using run = await FollowRun.start({ bucket, location })
    await run.caughtUp()
    expect(run.follower.status.unverified).toEqual(['anchors'])
  })
})

test('a bucket that is put back under a session that goes on is found at the interval', async () => {
  const bucket = bucketOf('a', 'b', 'c')
  await using run = await FollowRun.start({ bucket, auditIntervalMs: 30 })
  await run.caughtUp()
  bucket.deafSessions = true
  bucket.rollBack(1n)
  for (const key of ['x', 'b', 'y', 'z']) bucket.put(key, 'second time')
  await run.until(() => run.reasons.includes('bucketRolledBack'))
  bucket.deafSessions = false
  await run.caughtUp()
  expect(run.keys).toEqual(['a', 'b', 'x', 'y', 'z'])
  expect(textOf(run.follower, 'b')).toBe('second time')
})
