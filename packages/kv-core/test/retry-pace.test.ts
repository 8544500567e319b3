import { SnapshotError } from '@slip/kv-core'
import { describe, expect, test } from 'vitest'
import { FollowRun } from './follow-run.ts'
import { put } from './scripted-watcher.ts'
import { bucketOf } from './test-bucket.ts'
import { WatchRun } from './watch-run.ts'

const BUDGET_MS = 400
/** Attempts double their distance, so that few fit into the budget. */
const MOST_ATTEMPTS = 9

describe('the retry budget is time, however much is delivered meanwhile', () => {
  test('of a failing apply', async () => {
    let attempts = 0
    const from = performance.now()
    const run = new WatchRun(
      Array.from({ length: 500 }, (_, i) => [put(`key.${i}`, i + 1)]),
      {
        batch: { maxCount: 1 },
        retryBudgetMs: BUDGET_MS,
        apply: () => {
          attempts++
          throw new Error('no')
        },
      },
    )
    expect(await run.failure()).toMatchObject({ code: 'ApplyFailed' })
    expect(performance.now() - from).toBeGreaterThan(BUDGET_MS / 2)
    expect(attempts).toBeGreaterThan(1)
    expect(attempts).toBeLessThanOrEqual(MOST_ATTEMPTS)
    expect(run.watcher.pulls).toBeLessThan(10)
  })

  test('of a failing commit, under writers', async () => {
    const bucket = bucketOf('a')
    await using run = await FollowRun.start({
      bucket,
      batch: { maxCount: 1, windowMs: 0 },
      retryBudgetMs: BUDGET_MS,
    })
    await run.caughtUp()
    let attempts = 0
    run.location.failing.apply = () => {
      attempts++
      throw new SnapshotError('Io', 'no space left')
    }
    const from = performance.now()
    let written = 0
    const writing = setInterval(() => bucket.put(`key.${written++}`), 1)
    expect(await run.failure()).toMatchObject({ code: 'Io' })
    clearInterval(writing)
    expect(performance.now() - from).toBeGreaterThan(BUDGET_MS / 2)
    expect(written).toBeGreaterThan(MOST_ATTEMPTS)
    expect(attempts).toBeGreaterThan(1)
    expect(attempts).toBeLessThanOrEqual(MOST_ATTEMPTS)
    expect(run.location.image!.cursor.revision).toBe(1n)
  })
})

test('what was applied and not committed is handed to apply again by the next process, from the durable cursor', async () => {
  const bucket = bucketOf('a')
  const first = await FollowRun.start({ bucket })
  await first.caughtUp()
  first.location.failing.apply = () => {
    throw new SnapshotError('Io', 'no space left')
  }
  bucket.put('b')
  await first.until(() => first.applied.length === 2)
  await expect(first.follower.close()).rejects.toMatchObject({ code: 'Io' })
  first.location.failing = {}
  await using next = await FollowRun.start({ bucket, location: first.location })
  await next.caughtUp()
  expect(bucket.watches.at(-1)!.after).toBe(1n)
  expect(next.applied).toEqual([expect.objectContaining({ key: 'b', operation: 'put', phase: 'live' })])
  expect(next.keys).toEqual(['a', 'b'])
})
