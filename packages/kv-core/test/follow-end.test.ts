import { getEventListeners } from 'node:events'
import { setTimeout as wait } from 'node:timers/promises'
import { follow, KvError, type WaitOptions } from '@slip/kv-core'
import { describe, expect, test } from 'vitest'
import { FollowRun } from './follow-run.ts'
import { MapLocation } from './map-store.ts'
import { numbered, TestBucket } from './test-bucket.ts'

test('what ends a follower has a code, also when a store throws something else', async () => {
  const location = new MapLocation()
  const cause = new Error('a bug in the store')
  await using run = await FollowRun.start({ location, bucket: numbered(1) })
  await run.caughtUp()
  run.bucket.name = 'other'
  location.image!.lineage = new Uint8Array(0)
  run.bucket.breakSessions()
  expect(await run.failure()).toMatchObject({ name: 'SnapshotError', code: 'Corrupted' })
  const bucket = numbered(1)
  const next = await FollowRun.start({
    location: Object.assign(new MapLocation(), {
      setAside: () => Promise.reject(cause),
      features: { staging: false },
    }),
    bucket,
    onForeignFold: 'rebuild',
  })
  await next.caughtUp()
  bucket.name = 'other'
  bucket.breakSessions()
  expect(await next.failure()).toMatchObject({ name: 'SnapshotError', code: 'Backend', cause })
  await next.follower.close()
})

describe('the end', () => {
  const abortAt: Record<string, (run: FollowRun) => Promise<void>> = {
    connecting: async (run) => {
      run.bucket.unreachable = new KvError('Unreachable', 'no route')
      run.bucket.breakSessions()
      await run.until(() => run.follower.status.state === 'connecting')
    },
    live: (run) => run.caughtUp(),
    stale: async (run) => {
      await run.caughtUp()
      run.bucket.frozen = true
      await run.until(() => run.follower.status.state === 'stale')
    },
    resyncing: async (run) => {
      await run.caughtUp()
      run.bucket.recreate()
      for (let i = 0; i < 500; i++) run.bucket.put(`new.${i}`)
      run.location.failing.stagedApply = () => (run.bucket.frozen = true)
      run.bucket.breakSessions()
      await run.until(() => run.follower.status.state === 'resyncing' && run.bucket.frozen)
    },
  }

  test.each(Object.keys(abortAt))(
    'by the signal while %s: closed fulfils and the store is let go',
    async (state) => {
      const stop = new AbortController()
      const run = await FollowRun.start({ bucket: numbered(3), signal: stop.signal, staleAfterMs: 150 })
      await abortAt[state]!(run)
      stop.abort(new Error('enough'))
      await run.follower.closed
      expect(run.follower.status.state).toBe('closed')
      expect(run.location.holder).toBeUndefined()
      await run.follower.close()
    },
  )

  test('close finishes the batch in hand, syncs, and is idempotent', async () => {
    const run = await FollowRun.start({ batch: { windowMs: 60_000 } })
    await run.caughtUp()
    run.bucket.put('a')
    await run.until(() => run.follower.status.streamLast === 1n)
    expect(run.applied).toEqual([])
    await Promise.all([run.follower.close(), run.follower.close()])
    expect(run.location.image!.cursor.revision).toBe(1n)
    expect(run.follower.status.durableCursor.revision).toBe(1n)
    expect(run.applied.map(({ key }) => key)).toEqual(['a'])
    await run.follower.closed
  })

  test('close waits for an apply that runs', async () => {
    let release!: () => void
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    const run = await FollowRun.start({ bucket: numbered(1), apply: () => held })
    await run.until(() => run.follower.status.streamLast === 1n)
    await wait(30)
    let closed = false
    const closing = run.follower.close().then(() => (closed = true))
    await wait(50)
    expect(closed).toBe(false)
    release()
    await closing
    expect(run.location.image!.cursor.revision).toBe(1n)
  })

  test('an abort before or while opening rejects with the reason of the signal', async () => {
    const reason = new Error('enough')
    const bucket = new TestBucket()
    await expect(
      follow({ source: bucket.opener, store: new MapLocation(), signal: AbortSignal.abort(reason) }),
    ).rejects.toBe(reason)
    const stop = new AbortController()
    const location = new MapLocation()
    const opening = follow({ source: bucket.opener, store: location, signal: stop.signal })
    stop.abort(reason)
    await expect(opening).rejects.toBe(reason)
    expect(location.holder).toBeUndefined()
  })

  test('an abort while the artifact is fetched, or the fold is opened, rejects with its reason and leaves nothing held', async () => {
    const reason = new Error('enough')
    const hangs = (signal: AbortSignal | undefined): Promise<never> =>
      new Promise((_resolve, reject) => {
        signal?.addEventListener('abort', () => reject(signal.reason as Error))
      })
    const fetching = new MapLocation()
    const slow = new MapLocation()
    slow.hangingOpen = true
    for (const [location, bootstrap] of [
      [fetching, (_into: unknown, { signal }: WaitOptions) => hangs(signal)],
      [slow, undefined],
    ] as const) {
      const stop = new AbortController()
      const opening = follow({
        source: new TestBucket().opener,
        store: location,
        signal: stop.signal,
        ...(bootstrap === undefined ? {} : { bootstrap }),
      })
      const ended = expect(opening).rejects.toBe(reason)
      await wait(10)
      stop.abort(reason)
      await ended
      expect(location.holder).toBeUndefined()
    }
    expect(fetching.opens).toBe(0)
  })

  test('leaves no listener on the signal of the caller', async () => {
    const stop = new AbortController()
    const run = await FollowRun.start({ bucket: numbered(3), signal: stop.signal })
    await run.caughtUp()
    const late = run.follower.waitFor(4n, { signal: stop.signal })
    const changes = run.follower.changes({ signal: stop.signal })
    run.bucket.breakSessions()
    run.bucket.put('late')
    await late
    await run.follower.close()
    for await (const { key } of changes) expect(key).toBe('late')
    expect(getEventListeners(stop.signal, 'abort')).toEqual([])
  })

  test('an opener that hangs does not hold it up, and a source it gives later is closed', async () => {
    const bucket = new TestBucket()
    let give!: () => void
    const run = await FollowRun.start({
      source: () =>
        new Promise((resolve) => {
          give = () => resolve(bucket.source())
        }),
    })
    await run.follower.close()
    give()
    await run.until(() => bucket.closed === 1)
  })

  test('after a failing apply is ApplyFailed with the cursor; reads go on until close', async () => {
    const run = await FollowRun.start({
      bucket: numbered(1),
      retryBudgetMs: 60,
      apply: () => Promise.reject(new Error('no')),
    })
    const waiting = expect(run.follower.caughtUp()).rejects.toMatchObject({ code: 'ApplyFailed' })
    expect(await run.failure()).toMatchObject({ code: 'ApplyFailed', cursor: { isNone: true } })
    await waiting
    expect(run.follower.status).toMatchObject({ state: 'failed', reason: 'ApplyFailed', applied: 0 })
    expect(run.keys).toEqual([])
    await run.follower.close()
    expect(run.location.holder).toBeUndefined()
    expect(run.follower.status.state).toBe('closed')
  })
})
