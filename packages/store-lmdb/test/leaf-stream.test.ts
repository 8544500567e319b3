import { expect, test } from 'vitest'
import { windowPagesOf } from '../dist/leaf-stream.js'

const PAGE = 4096

test('what a merge reads ahead does not grow with its runs, and is never less than pays', () => {
  expect(windowPagesOf(1, PAGE)).toBe(16)
  expect(windowPagesOf(100, PAGE)).toBe(16)
  for (const streams of [150, 200, 300])
    expect(streams * windowPagesOf(streams, PAGE) * PAGE).toBeLessThan(9e6)
  expect(windowPagesOf(1_500, PAGE)).toBe(6)
})
