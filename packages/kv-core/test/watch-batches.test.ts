import { setTimeout as wait } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { at, put } from './scripted-watcher.ts'
import { WatchRun } from './watch-run.ts'

const HOUR = 3_600_000

describe('when a batch is flushed', () => {
  test('the window of the first update ends', async () => {
    const run = new WatchRun([[put('a', 1), put('b', 2)]])
    await run.until(() => run.positions.length > 0)
    expect(run.applied).toEqual([['a', 'b']])
    expect((await run.abort()).revision).toBe(2n)
  })

  test('maxCount is reached, without waiting for the window', async () => {
    const updates = [put('a', 1), put('b', 2), put('c', 3), put('d', 4)]
    const run = new WatchRun([updates], { batch: { maxCount: 4, windowMs: HOUR } })
    await run.until(() => run.positions.length > 0)
    expect(run.applied).toEqual([['a', 'b', 'c', 'd']])
    await run.abort()
  })

  test('maxBytes is reached, also inside one delivery', async () => {
    const updates = [put('a', 1, 'xxxx'), put('b', 2, 'xxxx'), put('c', 3, 'xxxx')]
    const run = new WatchRun([updates], { batch: { maxBytes: 10, windowMs: HOUR } })
    await run.until(() => run.positions.length > 0)
    expect(run.applied).toEqual([['a', 'b']])
    expect((await run.abort()).revision).toBe(3n)
    expect(run.applied).toEqual([['a', 'b'], ['c']])
  })

  test('an update comes that is one too many, or would make it one byte too large', async () => {
    const five = ['a', 'b', 'c', 'd', 'e'].map((key, i) => put(key, i + 1))
    const counted = new WatchRun([five, { caughtUp: true }], { batch: { maxCount: 4, windowMs: HOUR } })
    await counted.until(() => counted.positions.length === 2)
    expect(counted.applied).toEqual([['a', 'b', 'c', 'd'], ['e']])
    expect(counted.positions).toEqual([4n, 5n])
    await counted.abort()
    const sized = new WatchRun([[put('a', 1, 'xxxx'), put('b', 2, 'xxxxx'), put('c', 3, 'x'.repeat(50))]], {
      batch: { maxBytes: 10, windowMs: HOUR },
    })
    await sized.until(() => sized.positions.length === 3)
    expect(sized.applied).toEqual([['a'], ['b'], ['c']])
    expect(sized.positions).toEqual([1n, 2n, 3n])
    await sized.abort()
  })

  test('its window ends, and what comes after the end is the next batch', async () => {
    const windowMs = 40
    const run = new WatchRun(
      [
        [put('a', 1)],
        () => wait(5),
        [put('b', 2)],
        () => run.until(() => run.positions.length > 0),
        [put('c', 3)],
      ],
      {
        batch: { windowMs },
      },
    )
    await run.until(() => run.positions.length === 2)
    expect(run.applied).toEqual([['a', 'b'], ['c']])
    await run.abort()
  })

  test('everything that existed was delivered', async () => {
    const run = new WatchRun([[put('a', 1)], { caughtUp: true }], { batch: { windowMs: HOUR } })
    await run.until(() => run.positions.length > 0)
    expect(run.applied).toEqual([['a']])
    await run.abort()
  })

  test('the caller aborts', async () => {
    const run = new WatchRun([[put('a', 1), put('b', 2)]], { batch: { windowMs: HOUR } })
    await run.until(() => run.watcher.pulls === 1)
    await wait(20)
    expect(run.applied).toEqual([])
    expect((await run.abort()).revision).toBe(2n)
    expect(run.applied).toEqual([['a', 'b']])
  })

  test('the source ends: what it delivered is applied before the error', async () => {
    const run = new WatchRun([[put('a', 1)], [put('b', 2), put('c', 3)], 'end'], {
      batch: { windowMs: HOUR },
    })
    expect(await run.failure()).toMatchObject({ code: 'Closed', cursor: at(3) })
    expect(run.applied).toEqual([['a', 'b', 'c']])
    expect(run.positions).toEqual([3n])
  })
})
