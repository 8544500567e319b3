import { describe, expect, test } from 'vitest'
import { MapLocation } from './map-store.ts'
import { at, put } from './scripted-watcher.ts'
import { WatchRun } from './watch-run.ts'

describe('a failing apply', () => {
  test('is retried on a timer with the same batch until it succeeds', async () => {
    let calls = 0
    const batches: string[][] = []
    const run = new WatchRun([[put('a', 1), put('b', 2)]], {
      apply: (batch) => {
        batches.push(batch.map(({ key }) => key))
        if (++calls < 3) throw new Error('not yet')
      },
    })
    await run.until(() => run.positions.length > 0)
    expect(batches).toEqual([
      ['a', 'b'],
      ['a', 'b'],
      ['a', 'b'],
    ])
    expect(run.positions).toEqual([2n])
    await run.abort()
  })

  test('ends in ApplyFailed with cause and cursor once the budget is spent; a rejection counts as a throw', async () => {
    const cause = new Error('the domain says no')
    let calls = 0
    const run = new WatchRun(
      [[put('a', 1)], () => run.until(() => run.positions.length > 0), [put('b', 2)]],
      {
        retryBudgetMs: 150,
        apply: async ([first]) => {
          if (first?.key !== 'b') return
          calls++
          throw cause
        },
      },
    )
    expect(await run.failure()).toMatchObject({ name: 'KvError', code: 'ApplyFailed', cause, cursor: at(1) })
    expect(calls).toBeGreaterThan(1)
    expect(run.positions).toEqual([1n])
  })

  test('is retried although nothing further is delivered, and at most a few times', async () => {
    let calls = 0
    const run = new WatchRun([[put('a', 1)]], {
      retryBudgetMs: 200,
      apply: () => {
        calls++
        throw new Error('no')
      },
    })
    await run.failure()
    expect(calls).toBeGreaterThan(1)
    expect(calls).toBeLessThan(10)
  })

  test('gives up at once on abort, and the cursor stays at what was applied', async () => {
    let calls = 0
    const run = new WatchRun([[put('a', 1)], [put('b', 2)]], {
      batch: { maxCount: 1 },
      apply: ([first]) => {
        if (first?.key === 'b') {
          calls++
          throw new Error('no')
        }
      },
    })
    await run.until(() => calls > 0)
    expect((await run.abort()).revision).toBe(1n)
    expect(run.positions).toEqual([1n])
  })

  test('a throwing parse is retried too', async () => {
    let calls = 0
    const run = new WatchRun([[put('a', 1)]], {
      parse: (update) => {
        if (++calls === 1) throw new Error('not yet')
        return update
      },
    })
    await run.until(() => run.positions.length > 0)
    expect(run.applied).toEqual([['a']])
    await run.abort()
  })

  test('the batch is not handed to apply again when only the commit failed', async () => {
    const run = new WatchRun([[put('a', 1)]], { retryBudgetMs: 0, store: await failingStore() })
    expect(await run.failure()).toMatchObject({ code: 'Io' })
    expect(run.applied).toEqual([['a']])
  })
})

async function failingStore(): ReturnType<MapLocation['open']> {
  const location = new MapLocation()
  location.failing.apply = () => {
    throw new Error('broken')
  }
  return location.open()
}
