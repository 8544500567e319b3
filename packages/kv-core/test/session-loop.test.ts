import { runSession } from '../src/apply/session-loop.ts'
import { WatchCursor } from '../src/cursor.ts'
import type { WatchBatch } from '../src/source.ts'
import { expect, test } from 'vitest'

test('a batch that comes when the session has ended proves nothing', async () => {
  const pulls: boolean[] = []
  const ending = new AbortController()
  let deliver: ((result: IteratorResult<WatchBatch>) => void) | undefined
  const iterator: AsyncIterator<WatchBatch> = {
    next: () => new Promise((resolve) => (deliver = resolve)),
  }
  const session = runSession({
    open: () => ({ [Symbol.asyncIterator]: () => iterator }),
    limits: { windowMs: 10, maxCount: 10, maxBytes: 1_000 },
    from: WatchCursor.none,
    suspect: false,
    signal: ending.signal,
    flush: async () => 'committed',
    onPull: () => pulls.push(true),
    onArrival: () => pulls.push(false),
  })
  ending.abort()
  expect(await session).toEqual({ why: 'aborted' })
  deliver!({ value: { updates: [], caughtUp: false }, done: false })
  await new Promise((resolve) => setImmediate(resolve))
  expect(pulls).toEqual([true])
})
