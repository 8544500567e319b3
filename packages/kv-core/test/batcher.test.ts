import { describe, expect, test } from 'vitest'
import { batchLimits, Batcher } from '../src/batcher.ts'
import type { KvUpdate } from '../src/entry.ts'
import { VersionToken } from '../src/token.ts'

const put = (key: string, bytes = 1): KvUpdate => ({
  operation: 'put',
  key,
  value: new Uint8Array(bytes),
  version: VersionToken.unknown,
})

describe('the batcher', () => {
  test('has the documented limits by default', () => {
    expect(batchLimits()).toEqual({ windowMs: 10, maxCount: 1024, maxBytes: 4 * 1024 * 1024 })
  })

  test.each([{ windowMs: -1 }, { windowMs: NaN }, { maxCount: 0 }, { maxBytes: 0 }, { maxCount: NaN }])(
    'refuses %o',
    (config) => {
      expect(() => batchLimits(config)).toThrow(RangeError)
    },
  )

  test('the first update opens the window and later ones never extend it', () => {
    const batcher = new Batcher(batchLimits({ windowMs: 10 }))
    expect(batcher.dueAtMs).toBe(Infinity)
    batcher.offer(put('a'), 100)
    batcher.offer(put('b'), 109)
    expect(batcher.dueAtMs).toBe(110)
    batcher.take()
    expect(batcher.dueAtMs).toBe(Infinity)
    batcher.offer(put('c'), 200)
    expect(batcher.dueAtMs).toBe(210)
  })

  test('one update more than maxCount is not taken', () => {
    const batcher = new Batcher(batchLimits({ maxCount: 2 }))
    expect([put('a'), put('b'), put('c')].map((update) => batcher.offer(update, 0))).toEqual([
      true,
      true,
      false,
    ])
    expect(batcher.take().updates.map(({ key }) => key)).toEqual(['a', 'b'])
    expect(batcher.offer(put('c'), 0)).toBe(true)
  })

  test('one byte more than maxBytes is not taken, except alone', () => {
    const batcher = new Batcher(batchLimits({ maxBytes: 10 }))
    expect(batcher.offer(put('a', 5), 0)).toBe(true)
    expect(batcher.offer(put('b', 4), 0)).toBe(false)
    expect(batcher.offer(put('b', 3), 0)).toBe(true)
    expect(batcher.take()).toMatchObject({ bytes: 10 })
    expect(batcher.offer(put('large', 100), 0)).toBe(true)
    expect(batcher.full).toBe(true)
    expect(batcher.offer(put('a', 0), 0)).toBe(false)
  })

  test('what is not taken opens no window', () => {
    const batcher = new Batcher(batchLimits({ maxCount: 1, windowMs: 10 }))
    batcher.offer(put('a'), 100)
    batcher.offer(put('b'), 105)
    expect(batcher.dueAtMs).toBe(110)
  })

  test('is full at maxCount', () => {
    const batcher = new Batcher(batchLimits({ maxCount: 2 }))
    batcher.offer(put('a'), 0)
    expect(batcher.full).toBe(false)
    batcher.offer(put('b'), 0)
    expect(batcher.full).toBe(true)
  })

  test('is full at maxBytes of keys, in UTF-8, and values', () => {
    const batcher = new Batcher(batchLimits({ maxBytes: 10 }))
    batcher.offer(put('é', 7), 0)
    expect(batcher.full).toBe(false)
    batcher.offer({ operation: 'delete', key: 'k', version: VersionToken.unknown }, 0)
    expect(batcher.full).toBe(true)
    expect(batcher.take().bytes).toBe(10)
  })

  test('hands over everything in order, and starts anew', () => {
    const batcher = new Batcher(batchLimits())
    for (const key of ['a', 'b', 'c']) batcher.offer(put(key), 0)
    expect(batcher.take().updates.map(({ key }) => key)).toEqual(['a', 'b', 'c'])
    expect(batcher.take()).toEqual({ updates: [], bytes: 0 })
    expect(batcher.full).toBe(false)
  })
})
