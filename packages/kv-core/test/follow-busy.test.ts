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
