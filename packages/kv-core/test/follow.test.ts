import { getEventListeners } from 'node:events'
import { setTimeout as wait } from 'node:timers/promises'
import { follow, KvError, VersionToken, type FollowSource, type WaitOptions } from '@slip/kv-core'
import { describe, expect, test } from 'vitest'
import { FollowRun } from './follow-run.ts'
import { MapLocation, textOf } from './map-store.ts'
import { TestBucket } from './test-bucket.ts'

function filled(count: number): TestBucket {
  const bucket = new TestBucket()
  for (let i = 0; i < count; i++) bucket.put(`key.${i}`)
  return bucket
}

describe('a fold', () => {
  test('is hydrated, goes live, and follows what is written', async () => {
    await using run = await FollowRun.start({ bucket: filled(250) })
    await run.caughtUp()
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
    const bucket = filled(3)
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
    const bucket = filled(20)
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
    await using run = await FollowRun.start({ location, bucket: filled(1) })
    await run.caughtUp()
    expect(run.follower.status.unverified).toEqual(['lineage', 'count', 'anchors'])
    expect(run.follower.status.verifiedThrough).toBeUndefined()
    expect(location.image!.lineage).toBeUndefined()
  })
})

describe('a session that ends', () => {
  test('is followed by another in under a second, from the applied cursor, and nothing is applied twice', async () => {
    await using run = await FollowRun.start({ bucket: filled(10) })
    await run.caughtUp()
    for (let round = 0; round < 3; round++) {
      run.bucket.breakSessions()
      const writtenMs = performance.now()
      await run.waitFor(run.bucket.put(`late.${round}`))
      expect(performance.now() - writtenMs).toBeLessThan(1_000)
    }
    const revisions = run.applied.map(({ revision }) => revision)
    expect(revisions).toEqual(Array.from({ length: 13 }, (_, i) => BigInt(i + 1)))
    expect(run.bucket.opened).toBe(1)
    expect(run.reasons).toContain('Unreachable')
    expect(run.follower.status.delivered).toBe(13)
  })

  test('in the middle of hydration goes on where it was', async () => {
    const bucket = filled(1_000)
    let cut = false
    await using run = await FollowRun.start({
      bucket,
      batch: { maxCount: 100 },
      onApplied: () => {
        if (!cut) bucket.breakSessions()
        cut = true
      },
    })
    await run.caughtUp()
    expect(run.applied).toHaveLength(1_000)
    expect(run.follower.status).toMatchObject({ entries: 1_000, delivered: 1_000 })
    expect(bucket.watches.length).toBeGreaterThan(1)
  })

  test('because the source is gone opens the source again and closes the old one', async () => {
    await using run = await FollowRun.start({ bucket: filled(1) })
    await run.caughtUp()
    run.bucket.unreachable = new KvError('Unreachable', 'gone')
    run.bucket.breakSessions()
    await run.until(() => run.bucket.opened > 2)
    expect(run.bucket.closed).toBe(1)
    run.bucket.unreachable = undefined
    await run.caughtUp()
  })

  test('with redelivered revisions is attached anew without applying them again', async () => {
    await using run = await FollowRun.start({ bucket: filled(2) })
    await run.caughtUp()
    run.bucket.redeliver('key.0')
    await run.until(() => run.reasons.includes('redelivered'))
    await run.caughtUp()
    expect(run.applied).toHaveLength(2)
    expect(run.bucket.watches).toHaveLength(2)
  })
})

describe('silence', () => {
  test('of a source that does not answer what it is asks for a new source', async () => {
    const bucket = filled(1)
    bucket.frozen = true
    await using run = await FollowRun.start({ bucket })
    await run.until(() => bucket.opened === 2, 10_000)
    expect(run.follower.status).toMatchObject({ state: 'connecting', reason: 'Timeout' })
    expect(bucket.closed).toBe(1)
    bucket.thaw()
    await run.caughtUp()
  })

  test('makes it stale after staleAfterMs, reads go on, and any proof ends it', async () => {
    await using run = await FollowRun.start({ bucket: filled(1), staleAfterMs: 150 })
    await run.caughtUp()
    run.bucket.frozen = true
    await run.until(() => run.follower.status.state === 'stale')
    expect(run.follower.status.reason).toBe('silent')
    expect(run.keys).toEqual(['key.0'])
    run.bucket.thaw()
    await run.caughtUp()
    expect(run.bucket.watches).toHaveLength(1)
    expect(run.states.slice(-2)).toEqual(['stale', 'live'])
  })

  test('of a source that never comes back ends its session', async () => {
    await using run = await FollowRun.start({ bucket: filled(1), staleAfterMs: 40 })
    await run.caughtUp()
    run.bucket.deafSessions = true
    await run.until(() => run.bucket.watches.length > 1)
    run.bucket.deafSessions = false
    await run.caughtUp()
  })

  test('is not what a quiet bucket that answers is', async () => {
    await using run = await FollowRun.start({ bucket: filled(1), staleAfterMs: 100 })
    await run.caughtUp()
    await wait(400)
    expect(run.states).toEqual(['catchingUp', 'live'])
  })
})

describe('a source that throws where it should reject', () => {
  type Part = 'open' | 'describe' | 'watch' | 'iterate' | 'next' | 'close'
  const thrown = new KvError('PermissionDenied', 'not today')

  /** A source of `bucket` whose `part` throws until `mended`. */
  function throwing(bucket: TestBucket, part: Part, mended: () => boolean): FollowSource {
    const fails = (which: Part): void => {
      if (which === part && !mended()) throw thrown
    }
    return {
      name: bucket.name,
      close: () => {
        fails('close')
        return Promise.resolve()
      },
      watcher: {
        describe: (scope, options) => {
          fails('describe')
          return bucket.watcher.describe(scope, options)
        },
        watch: (scope, options) => {
          fails('watch')
          const batches = bucket.watcher.watch(scope, options)
          return {
            [Symbol.asyncIterator]: () => {
              fails('iterate')
              const iterator = batches[Symbol.asyncIterator]()
              return {
                next: () => {
                  fails('next')
                  return iterator.next()
                },
                return: () => iterator.return!(),
              }
            },
          }
        },
      },
    }
  }

  test.each(['open', 'describe', 'watch', 'iterate', 'next'] as const)(
    'in %s is tried again, and its error told',
    async (part) => {
      let mended = false
      const bucket = filled(2)
      await using run = await FollowRun.start({
        bucket,
        source: () => {
          if (part === 'open' && !mended) throw thrown
          return Promise.resolve(throwing(bucket, part, () => mended))
        },
      })
      await run.until(() => run.follower.status.error === thrown)
      expect(run.follower.status).toMatchObject({ state: 'connecting', reason: 'PermissionDenied' })
      mended = true
      await run.caughtUp()
      expect(run.keys).toEqual(['key.0', 'key.1'])
    },
  )

  test('in close does no harm', async () => {
    const bucket = filled(1)
    const run = await FollowRun.start({
      bucket,
      source: () => Promise.resolve(throwing(bucket, 'close', () => false)),
    })
    await run.caughtUp()
    await run.follower.close()
    await run.follower.closed
  })
})

test('what ends a follower has a code, also when a store throws something else', async () => {
  const location = new MapLocation()
  const cause = new Error('a bug in the store')
  await using run = await FollowRun.start({ location, bucket: filled(1) })
  await run.caughtUp()
  run.bucket.name = 'other'
  location.image!.lineage = new Uint8Array(0)
  run.bucket.breakSessions()
  expect(await run.failure()).toMatchObject({ name: 'SnapshotError', code: 'Corrupted' })
  const bucket = filled(1)
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

describe('waiting', () => {
  test('for what is applied already resolves at once, by revision or token', async () => {
    await using run = await FollowRun.start({ bucket: filled(3) })
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
    await using run = await FollowRun.start({ bucket: filled(1) })
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
      const run = await FollowRun.start({ bucket: filled(3), signal: stop.signal, staleAfterMs: 150 })
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
    const run = await FollowRun.start({ bucket: filled(1), apply: () => held })
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
    const run = await FollowRun.start({ bucket: filled(3), signal: stop.signal })
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
      bucket: filled(1),
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
