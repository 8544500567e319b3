import { afterEach, describe, expect, test } from 'vitest'
import { FollowRun } from './follow-run.ts'
import { numbered, type TestBucket } from './test-bucket.ts'

let timer: NodeJS.Timeout | undefined

/** Writes a key of a hot set each millisecond, so that the bucket never stands still for an audit. */
function keepWriting(bucket: TestBucket, keyOf: (i: number) => string): void {
  let i = 0
  timer = setInterval(() => {
    for (let n = 0; n < 3; n++) bucket.put(keyOf(i++), `${i}`)
  }, 1)
}

afterEach(() => clearInterval(timer))

const through = ({ follower }: FollowRun): bigint => follower.status.verifiedThrough ?? 0n

describe('a bucket that is written all the time', () => {
  test('is verified all the same, and nothing is found in it that is not there', async () => {
    const bucket = numbered(20)
    await using run = await FollowRun.start({ bucket, auditIntervalMs: 20 })
    await run.caughtUp()
    keepWriting(bucket, (i) => `key.${i % 20}`)
    const before = bucket.last
    await run.until(() => (run.follower.status.verifiedThrough ?? 0n) > before + 100n)
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(run.reasons).toEqual([])
  })

  test('is audited: a key that vanished from it without a message is found', async () => {
    const bucket = numbered(20)
    await using run = await FollowRun.start({ bucket, auditIntervalMs: 20 })
    await run.caughtUp()
    keepWriting(bucket, (i) => `key.${i % 10}`)
    bucket.vanish('key.15')
    await run.until(() => run.reasons.includes('countMismatch'))
    await run.until(() => !run.keys.includes('key.15'))
  })

  test('with new keys all the time is not found fault with', async () => {
    const bucket = numbered(20)
    await using run = await FollowRun.start({ bucket, auditIntervalMs: 10 })
    await run.caughtUp()
    keepWriting(bucket, (i) => `key.${i}`)
    await new Promise((resolve) => setTimeout(resolve, 500))
    expect(run.reasons).toEqual([])
    bucket.vanish('key.15')
    await run.until(() => run.reasons.includes('countMismatch'))
  })

  test('with new keys all the time is verified too, and its answers may take their time', async () => {
    const bucket = numbered(20)
    bucket.answerMs = 10
    await using run = await FollowRun.start({ bucket, auditIntervalMs: 10 })
    await run.caughtUp()
    keepWriting(bucket, (i) => `key.${i}`)
    for (let i = 0; i < 5; i++) {
      const before = bucket.last
      await run.until(() => through(run) > before, 20_000)
    }
    expect(run.reasons).toEqual([])
  })

  test('of which only a part is followed is verified when no new key comes for a moment', async () => {
    const bucket = numbered(20)
    bucket.answerMs = 5
    await using run = await FollowRun.start({ bucket, auditIntervalMs: 10, scope: { prefix: 'key.' } })
    await run.caughtUp()
    keepWriting(bucket, (i) => (i % 40 === 0 ? `key.new.${i}` : i % 2 === 0 ? `key.${i % 20}` : `other.${i}`))
    const before = bucket.last
    await run.until(() => through(run) > before, 20_000)
    expect(run.reasons).toEqual([])
    bucket.vanish('key.15')
    await run.until(() => run.reasons.includes('countMismatch'), 20_000)
  })

  test('and that cannot be counted: the status says so when an audit is overdue, until one succeeds', async () => {
    const bucket = numbered(20)
    await using run = await FollowRun.start({ bucket, auditIntervalMs: 20 })
    await run.caughtUp()
    await run.verified(20n)
    bucket.silentAbout = ['keyCount']
    expect(run.follower.status.unverified).toEqual([])
    await run.until(() => run.follower.status.unverified.includes('count'))
    bucket.silentAbout = []
    await run.until(() => run.follower.status.unverified.length === 0)
    expect(run.reasons).toEqual([])
  })

  test('also where the scope is narrow and the writes are elsewhere', async () => {
    const bucket = numbered(20)
    bucket.put('other.1')
    await using run = await FollowRun.start({ bucket, auditIntervalMs: 20, scope: { prefix: 'key.' } })
    await run.caughtUp()
    keepWriting(bucket, (i) => `other.${i % 5}`)
    await run.until(() => (run.follower.status.verifiedThrough ?? 0n) > 100n)
    bucket.vanish('key.3')
    await run.until(() => run.reasons.includes('countMismatch'))
    await run.until(() => !run.keys.includes('key.3'))
  })
})

describe('a session that is held for an audit', () => {
  test('goes on when the answer does not come', async () => {
    const bucket = numbered(5)
    await using run = await FollowRun.start({ bucket, auditIntervalMs: 10, staleAfterMs: 400 })
    await run.caughtUp()
    bucket.answerMs = 60_000
    await new Promise((resolve) => setTimeout(resolve, 100))
    for (let i = 0; i < 5; i++) await run.waitFor(bucket.put(`key.${i}`, 'while the audit waits'))
    expect(run.states).not.toContain('stale')
    expect(run.reasons).toEqual([])
  })

  test('goes on at once when the bucket cannot be described', async () => {
    const bucket = numbered(5)
    const source = bucket.source()
    let failing = false
    let asked = 0
    const describing: typeof source.watcher.describe = (scope, options) => {
      if (!failing) return source.watcher.describe(scope, options)
      asked++
      return Promise.reject(new Error('not now'))
    }
    const watcher = { ...source.watcher, describe: describing }
    await using run = await FollowRun.start({
      source: async () => ({ ...source, watcher }),
      bucket,
      auditIntervalMs: 5,
      staleAfterMs: 60_000,
    })
    await run.caughtUp()
    failing = true
    await run.until(() => asked > 3)
    const startedMs = performance.now()
    for (let i = 0; i < 20; i++) await run.waitFor(bucket.put('key.1', `${i}`))
    expect(performance.now() - startedMs).toBeLessThan(5_000)
  })
})

describe('what an audit finds', () => {
  /** Another history with as many keys, as far as the old one went and further. */
  const putBack = (bucket: TestBucket): void => {
    bucket.rollBack(3n)
    for (const key of ['x', 'y', 'z']) bucket.put(key)
  }

  test('is not claimed before the history was asked: the session may have outlived another one', async () => {
    const bucket = numbered(5)
    const honest = { ...bucket.history }
    let slow = false
    Object.assign(bucket.history, {
      at: async (revision: bigint) => {
        if (slow) await new Promise((resolve) => setTimeout(resolve, 50))
        return honest.at(revision)
      },
    })
    await using run = await FollowRun.start({ bucket, auditIntervalMs: 20 })
    await run.caughtUp()
    await run.verified(5n)
    slow = true
    const claimed: (bigint | undefined)[] = []
    run.follower.onStatus(({ verifiedThrough }) => void claimed.push(verifiedThrough))
    bucket.vanish('key.4')
    putBack(bucket)
    await run.until(() => {
      claimed.push(run.follower.status.verifiedThrough)
      return run.reasons.includes('bucketRolledBack') || run.reasons.includes('countMismatch')
    })
    expect(claimed.filter((each) => each !== 5n && each !== undefined)).toEqual([])
  })

  test('is not claimed while the session yields nothing, where the history cannot be asked', async () => {
    const bucket = numbered(5)
    bucket.hasHistory = false
    await using run = await FollowRun.start({ bucket, auditIntervalMs: 20 })
    run.follower.onStatus(({ state }) => {
      if (state === 'live') bucket.deafSessions = true
    })
    await run.caughtUp()
    await new Promise((resolve) => setTimeout(resolve, 500))
    expect(run.follower.status).not.toHaveProperty('verifiedThrough')
    bucket.deafSessions = false
    await run.verified(5n)
  })
})
