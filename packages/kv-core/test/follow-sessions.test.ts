import { setTimeout as wait } from 'node:timers/promises'
import { KvError, type FollowSource } from '@slip/kv-core'
import { describe, expect, test } from 'vitest'
import { FollowRun } from './follow-run.ts'
import { numbered, type TestBucket } from './test-bucket.ts'

describe('a session that ends', () => {
  test('is followed by another in under a second, from the applied cursor, and nothing is applied twice', async () => {
    await using run = await FollowRun.start({ bucket: numbered(10) })
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
    const bucket = numbered(1_000)
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
    await using run = await FollowRun.start({ bucket: numbered(1) })
    await run.caughtUp()
    run.bucket.unreachable = new KvError('Unreachable', 'gone')
    run.bucket.breakSessions()
    await run.until(() => run.bucket.opened > 2)
    expect(run.bucket.closed).toBe(1)
    run.bucket.unreachable = undefined
    await run.caughtUp()
  })

  test('with redelivered revisions is attached anew without applying them again', async () => {
    await using run = await FollowRun.start({ bucket: numbered(2) })
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
    const bucket = numbered(1)
    bucket.frozen = true
    await using run = await FollowRun.start({ bucket })
    await run.until(() => bucket.opened === 2, 10_000)
    expect(run.follower.status).toMatchObject({ state: 'connecting', reason: 'Timeout' })
    expect(bucket.closed).toBe(1)
    bucket.thaw()
    await run.caughtUp()
  })

  test('makes it stale after staleAfterMs, reads go on, and any proof ends it', async () => {
    await using run = await FollowRun.start({ bucket: numbered(1), staleAfterMs: 150 })
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
    await using run = await FollowRun.start({ bucket: numbered(1), staleAfterMs: 40 })
    await run.caughtUp()
    run.bucket.deafSessions = true
    await run.until(() => run.bucket.watches.length > 1)
    run.bucket.deafSessions = false
    await run.caughtUp()
  })

  test('is not ended by batches that waited for their reader all the time: they prove life when they came', async () => {
    await using run = await FollowRun.start({ bucket: numbered(1), staleAfterMs: 150 })
    await run.caughtUp()
    run.bucket.waitedMs = 60_000
    await run.until(() => run.follower.status.state === 'stale')
    const { lastContactMs } = run.follower.status
    run.bucket.put('late')
    await run.until(() => run.keys.length === 2)
    expect(run.follower.status).toMatchObject({ state: 'stale', reason: 'silent', lastContactMs })
    run.bucket.waitedMs = 100
    await run.until(() => run.follower.status.state === 'live')
    expect(run.follower.status.lastContactMs!).toBeGreaterThan(lastContactMs!)
    expect(Date.now() - run.follower.status.lastContactMs!).toBeGreaterThanOrEqual(100)
    expect(run.bucket.watches).toHaveLength(1)
  })

  test('shows while close() waits for its turn', async () => {
    const run = await FollowRun.start({ bucket: numbered(1), staleAfterMs: 100 })
    await run.caughtUp()
    let finish = (): void => undefined
    const held = run.follower.exclusive(() => new Promise<void>((resolve) => (finish = resolve)))
    const closed = run.follower.close()
    await run.until(() => run.follower.status.state === 'stale')
    finish()
    await held
    await closed
    expect(run.states.slice(-2)).toEqual(['stale', 'closed'])
  })

  test('is not what a quiet bucket that answers is', async () => {
    await using run = await FollowRun.start({ bucket: numbered(1), staleAfterMs: 100 })
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
      const bucket = numbered(2)
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
    const bucket = numbered(1)
    const run = await FollowRun.start({
      bucket,
      source: () => Promise.resolve(throwing(bucket, 'close', () => false)),
    })
    await run.caughtUp()
    await run.follower.close()
    await run.follower.closed
  })
})
