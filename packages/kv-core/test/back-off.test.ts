import { getEventListeners } from 'node:events'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { backOffMs, pause } from '../src/apply/back-off.ts'
import { seed } from './seed.ts'

const CONFIG = { firstMs: 20, secondMs: 100, maxMs: 5_000 }

describe('the back-off', () => {
  test('without jitter is the first delay, then the second, doubled each time up to the limit', () => {
    const delays = Array.from({ length: 9 }, (_, attempt) => backOffMs(attempt, CONFIG, 0))
    expect(delays).toEqual([20, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000])
  })

  test('with jitter is between half of it and all of it, after any number of attempts', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 1e9 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (attempt, random) => {
          const full = backOffMs(attempt, CONFIG, 0)
          const delay = backOffMs(attempt, CONFIG, random)
          expect(delay).toBeGreaterThanOrEqual(full / 2)
          expect(delay).toBeLessThanOrEqual(full)
          expect(full).toBeLessThanOrEqual(CONFIG.maxMs)
        },
      ),
      { seed },
    )
    expect(backOffMs(3, CONFIG, 1)).toBe(200)
  })
})

describe('a pause', () => {
  test('ends after its time, or as soon as its signal aborts, and leaves no listener', async () => {
    const stop = new AbortController()
    await pause(5, stop.signal)
    expect(getEventListeners(stop.signal, 'abort')).toEqual([])
    const long = pause(3_600_000, stop.signal)
    stop.abort()
    await long
    await pause(3_600_000, stop.signal)
    expect(getEventListeners(stop.signal, 'abort')).toEqual([])
  })
})
