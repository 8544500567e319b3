import { setTimeout as wait } from 'node:timers/promises'
import { follow, KvError, VersionToken } from '@slip/kv-core'
import { describe, expect, test } from 'vitest'
import { FollowRun } from './follow-run.ts'
import { MapLocation, textOf } from './map-store.ts'
import { numbered, TestBucket } from './test-bucket.ts'

describe('a fold', () => {
  test('is hydrated, goes live, and follows what is written', async () => {
    await using run = await FollowRun.start({ bucket: numbered(250) })
    await run.caughtUp()
    await run.verified(250n)
    expect(run.follower.status).toMatchObject({
      state: 'live',
      entries: 250,
      delivered: 250,
      applied: 250,
      relisted: 0,
      lag: 0n,
      verifiedThrough: 250n,
      sessions: 1,
    })
    expect(run.states).toEqual(['catchingUp', 'live'])
    await run.waitFor(run.bucket.put('key.7', 'new'))
    expect(textOf(run.follower, 'key.7')).toBe('new')
    await run.waitFor(run.bucket.delete('key.8'))
    expect(run.follower.has('key.8')).toBe(false)
    expect(run.applied.at(-1)).toMatchObject({ operation: 'delete', phase: 'live' })
    expect(run.applied[0]).toMatchObject({ phase: 'initial' })
  })

  test('can be read before the source is reachable, and waits for it', async () => {
    const location = new MapLocation()
    const bucket = numbered(3)
    {
      await using run = await FollowRun.start({ bucket, location })
      await run.caughtUp()
    }
    bucket.unreachable = new KvError('Unreachable', 'no route')
    await using run = await FollowRun.start({ bucket, location, staleAfterMs: 50 })
    expect(run.keys).toEqual(['key.0', 'key.1', 'key.2'])
    await run.until(() => bucket.opened >= 4)
    expect(run.follower.status).toMatchObject({ state: 'connecting', reason: 'Unreachable', entries: 3 })
    expect(run.follower.status.error).toBe(bucket.unreachable)
    bucket.unreachable = undefined
    await run.caughtUp()
  })

  test('receives exactly the difference after a restart, also when a hot set was overwritten', async () => {
    const location = new MapLocation()
    const bucket = numbered(20)
    {
      await using run = await FollowRun.start({ bucket, location })
      await run.caughtUp()
    }
    for (let round = 0; round < 3; round++)
      for (let i = 0; i < 20; i++) bucket.put(`key.${i}`, `round ${round}`)
    expect(bucket.firstRevision).toBeGreaterThan(21n)
    await using run = await FollowRun.start({ bucket, location })
    await run.caughtUp()
    expect(run.follower.status).toMatchObject({ delivered: 20, relisted: 0, entries: 20 })
    expect(bucket.watches.at(-1)!.after).toBe(20n)
    expect(run.reasons).toEqual([])
  })

  test('counts key and value bytes delivered', async () => {
    const bucket = new TestBucket()
    bucket.put('é', 'abc')
    await using run = await FollowRun.start({ bucket })
    await run.caughtUp()
    expect(run.follower.status.deliveredBytes).toBe(5)
  })

  test('of a scope holds only the scope, and its cursor passes what lies outside', async () => {
    const bucket = new TestBucket()
    bucket.put('a.1')
    bucket.put('b.1')
    const location = new MapLocation()
    await using run = await FollowRun.start({ bucket, location, scope: { prefix: 'a.' } })
    await run.caughtUp()
    const last = bucket.put('b.2')
    await run.waitFor(last)
    expect(run.keys).toEqual(['a.1'])
    await run.verified(2n)
    expect(run.follower.status).toMatchObject({ delivered: 1, verifiedThrough: 2n })
  })

  test('of an empty bucket is live at once, and bound to it', async () => {
    const location = new MapLocation()
    await using run = await FollowRun.start({ location })
    await run.caughtUp()
    expect(run.follower.status).toMatchObject({ state: 'live', entries: 0, delivered: 0 })
    expect(location.image!.lineage).toBeDefined()
  })

  test('tells the source what an empty value is', async () => {
    await using run = await FollowRun.start({ emptyValues: 'keep' })
    await run.caughtUp()
    expect(run.bucket.watches[0]!.emptyValues).toBe('keep')
  })

  test('whose store keeps no lineage says that it is unverified', async () => {
    const location = new MapLocation()
    location.features = { lineage: false, deletedKeys: false }
    await using run = await FollowRun.start({ location, bucket: numbered(1) })
    await run.caughtUp()
    expect(run.follower.status.unverified).toEqual(['lineage', 'count'])
    expect(run.follower.status.verifiedThrough).toBeUndefined()
    expect(location.image!.lineage).toBeUndefined()
  })
})

describe('waiting', () => {
  test('for what is applied already resolves at once, by revision or token', async () => {
    await using run = await FollowRun.start({ bucket: numbered(3) })
    await run.caughtUp()
    await run.follower.waitFor(2n)
    await run.follower.waitFor(VersionToken.fromRevision(3n))
    await expect(run.follower.waitFor(VersionToken.unknown)).rejects.toThrow(TypeError)
    await expect(run.follower.waitFor(-1n)).rejects.toThrow(RangeError)
  })

  test('ends with Timeout, with the reason of its signal, or when the follower ends', async () => {
    const run = await FollowRun.start()
    await run.caughtUp()
    await expect(run.follower.waitFor(9n, { timeoutMs: 20 })).rejects.toMatchObject({ code: 'Timeout' })
    const reason = new Error('enough')
    const stop = new AbortController()
    const aborted = expect(run.follower.waitFor(9n, { signal: stop.signal })).rejects.toBe(reason)
    stop.abort(reason)
    await aborted
    const ended = expect(run.follower.waitFor(9n)).rejects.toMatchObject({ code: 'Closed' })
    await run.follower.close()
    await ended
    await expect(run.follower.caughtUp()).rejects.toMatchObject({ code: 'Closed' })
  })
})

describe('exclusive', () => {
  test('runs between two flushes: applies wait, reads go on', async () => {
    await using run = await FollowRun.start({ bucket: numbered(1) })
    await run.caughtUp()
    const seen = await run.follower.exclusive(async (store) => {
      run.bucket.put('later')
      await wait(80)
      expect(run.follower.get('key.0')).toBeDefined()
      return [store.stats.entries, run.applied.length]
    })
    expect(seen).toEqual([1, 1])
    await run.waitFor(2n)
  })

  test('passes on what its function throws, and runs while the source is away', async () => {
    const bucket = new TestBucket()
    bucket.unreachable = new KvError('Unreachable', 'no route')
    await using run = await FollowRun.start({ bucket })
    await expect(run.follower.exclusive(() => Promise.reject(new Error('mine')))).rejects.toThrow('mine')
    expect(await run.follower.exclusive(() => 7)).toBe(7)
  })

  test('is Closed after the end', async () => {
    const run = await FollowRun.start()
    await run.follower.close()
    await expect(run.follower.exclusive(() => 1)).rejects.toMatchObject({ code: 'Closed' })
  })
})

test('options that cannot be meant are refused before anything is opened', async () => {
  const location = new MapLocation()
  const base = { source: new TestBucket().opener, store: location }
  await expect(follow({ ...base, staleAfterMs: 0 })).rejects.toThrow(RangeError)
  await expect(follow({ ...base, auditIntervalMs: -1 })).rejects.toThrow(RangeError)
  await expect(follow({ ...base, batch: { maxBytes: 0 } })).rejects.toThrow(RangeError)
  await expect(follow({ ...base, retryBudgetMs: -1 })).rejects.toThrow(RangeError)
  await expect(follow({ ...base, scope: { prefixes: [] } })).rejects.toThrow(TypeError)
  expect(location.holder).toBeUndefined()
})
