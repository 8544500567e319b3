import { describe, expect, test } from 'vitest'

import { Readiness, subjectText, type SessionStart } from '../src/session/readiness.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const start: SessionStart = {
  after: 0,
  streamLast: 100,
  pending: 3,
  singleReplica: true,
  listEnd: undefined,
}

/** Feeds deliveries of `[sequence, pending, subject]`, numbered as the consumer numbers them. */
function deliver(readiness: Readiness, ...messages: [number, number, string?][]): void {
  for (const [sequence, pending, subject = `s.${sequence}`] of messages)
    expect(
      readiness.delivered(sequence, readiness.received + 1, pending, bytes(subject)),
      `${sequence}`,
    ).toBeUndefined()
}

const subjects = (last: number, ...found: string[]) =>
  ({ kind: 'subjects', subjects: new Set(found), last }) as const

describe('what says that nothing lies beyond', () => {
  test('the last delivery had nothing behind it, nor had the consumer when it was made, or a heartbeat', () => {
    const readiness = new Readiness(start)
    expect(readiness.atEnd).toBe(false)
    deliver(readiness, [40, 1])
    expect(readiness.atEnd).toBe(false)
    deliver(readiness, [70, 0])
    expect(readiness.atEnd).toBe(true)
    deliver(readiness, [80, 1])
    readiness.heartbeat(3, 90, true)
    expect(readiness.atEnd).toBe(false)
    readiness.heartbeat(3, 90, false)
    expect(readiness.atEnd).toBe(true)
    expect(new Readiness({ ...start, pending: 0 }).atEnd).toBe(true)
    expect(new Readiness({ ...start, pending: 0, singleReplica: false }).atEnd).toBe(false)
  })
})

describe('what proves a session caught up', () => {
  test('nothing pending at creation: at the stream’s end, or at the cursor', () => {
    const empty = new Readiness({ ...start, pending: 0 })
    expect([empty.caughtUp, empty.frontier]).toEqual([true, 100])
    const resumed = new Readiness({ ...start, after: 100, pending: 0 })
    expect([resumed.caughtUp, resumed.frontier]).toEqual([true, 100])
  })

  test('a heartbeat at or past the stream’s end, not one in the middle, and not a stalled one', () => {
    const readiness = new Readiness(start)
    deliver(readiness, [10, 2])
    readiness.heartbeat(1, 60, false)
    expect([readiness.caughtUp, readiness.frontier]).toEqual([false, 60])
    readiness.heartbeat(1, 500, true)
    expect([readiness.caughtUp, readiness.frontier]).toEqual([false, 60])
    readiness.heartbeat(1, 100, false)
    expect([readiness.caughtUp, readiness.frontier]).toEqual([true, 100])
  })

  test('a replica may be behind: nothing pending there proves nothing before the stream’s end', () => {
    const readiness = new Readiness({ ...start, pending: 0, singleReplica: false })
    expect([readiness.caughtUp, readiness.frontier]).toEqual([false, 0])
    deliver(readiness, [50, 0])
    expect([readiness.due, readiness.caughtUp]).toEqual([false, false])
    readiness.heartbeat(1, 99, false)
    expect(readiness.caughtUp).toBe(false)
    deliver(readiness, [100, 0])
    expect([readiness.due, readiness.caughtUp]).toEqual([true, false])
    readiness.heartbeat(2, 100, false)
    expect([readiness.due, readiness.caughtUp]).toEqual([false, true])
  })

  test('a delivery with nothing pending does not: what stands behind it is asked for', () => {
    const readiness = new Readiness(start)
    deliver(readiness, [40, 1], [70, 0])
    expect([readiness.due, readiness.caughtUp]).toEqual([true, false])
    readiness.asked()
    expect(readiness.due).toBe(false)
    readiness.answered({ kind: 'nothing', last: 110 })
    expect([readiness.caughtUp, readiness.frontier]).toEqual([true, 110])
  })

  test('it is too early to ask while much is pending', () => {
    const readiness = new Readiness(start)
    deliver(readiness, [101, 50_000])
    expect(readiness.due).toBe(false)
    deliver(readiness, [102, 9_000])
    expect(readiness.due).toBe(true)
  })
})

describe('what was found behind the frontier', () => {
  const asked = (changed: Partial<SessionStart> = {}) => {
    const readiness = new Readiness({ ...start, ...changed })
    deliver(readiness, [90, 0])
    readiness.asked()
    return readiness
  }

  test('has to be delivered: before the answer or after it', () => {
    const readiness = asked()
    deliver(readiness, [120, 5, 'b'])
    readiness.answered(subjects(130, 'a', 'b', 'c'))
    expect(readiness.caughtUp).toBe(false)
    deliver(readiness, [125, 0, 'c'])
    expect(readiness.caughtUp).toBe(false)
    deliver(readiness, [140, 7, 'a'])
    expect([readiness.caughtUp, readiness.frontier]).toEqual([true, 140])
  })

  test('and was all delivered before the answer is nothing missing', () => {
    const readiness = asked()
    deliver(readiness, [120, 5, 'b'], [121, 5, 'a'])
    readiness.answered(subjects(121, 'a', 'b'))
    expect(readiness.caughtUp).toBe(true)
  })

  test('and passed without being delivered is asked for again, and was removed when it is not found', () => {
    const readiness = asked()
    readiness.answered(subjects(130, 'a', 'b', 'c'))
    deliver(readiness, [120, 0, 'a'])
    expect(readiness.due).toBe(false)
    deliver(readiness, [135, 3, 'x'])
    expect([readiness.due, readiness.caughtUp]).toEqual([true, false])
    readiness.asked()
    readiness.answered(subjects(150, 'c', 'x', 'new'))
    expect(readiness.caughtUp).toBe(false)
    deliver(readiness, [140, 1, 'b'], [141, 1, 'new'])
    expect(readiness.caughtUp).toBe(false)
    deliver(readiness, [145, 1, 'c'])
    expect(readiness.caughtUp).toBe(true)
  })

  test('and removed, every one, is nothing missing', () => {
    const readiness = asked()
    readiness.answered(subjects(130, 'a', 'b'))
    deliver(readiness, [135, 3, 'x'])
    readiness.asked()
    readiness.answered(subjects(150, 'x'))
    expect(readiness.caughtUp).toBe(true)
  })

  test('and cannot be read is taken to be passed at the stream’s end of that time', () => {
    const readiness = asked()
    readiness.answered({ kind: 'unreadable', last: 130 })
    deliver(readiness, [129, 0])
    expect(readiness.caughtUp).toBe(false)
    deliver(readiness, [131, 4])
    expect(readiness.caughtUp).toBe(true)
  })

  test('is asked for again by a later message when there was no answer', () => {
    const readiness = asked()
    readiness.unanswered()
    expect([readiness.due, readiness.caughtUp]).toEqual([false, false])
    deliver(readiness, [130, 0])
    expect(readiness.due).toBe(true)
  })

  test('an answer that comes after a heartbeat proved it changes nothing', () => {
    const readiness = asked()
    readiness.heartbeat(1, 200, false)
    readiness.answered(subjects(250, 'a'))
    expect([readiness.caughtUp, readiness.frontier]).toEqual([true, 200])
  })

  test('subjects are told apart by their bytes', () => {
    expect(subjectText(Uint8Array.of(0x61, 0xff))).not.toBe(subjectText(Uint8Array.of(0x61, 0xfe)))
  })
})

describe('a server that goes through a list of last messages', () => {
  test('and says that it has nothing more before the list’s end is stuck', () => {
    const readiness = new Readiness({ ...start, listEnd: 105 })
    deliver(readiness, [10, 2])
    expect(readiness.stuck).toBe(false)
    readiness.heartbeat(1, 104, false)
    expect([readiness.stuck, readiness.caughtUp, readiness.frontier]).toEqual([true, false, 10])
  })

  test('proves nothing by a heartbeat at the list’s end either: its last message may have been removed', () => {
    const readiness = new Readiness({ ...start, listEnd: 105 })
    deliver(readiness, [10, 2])
    readiness.heartbeat(1, 105, false)
    expect([readiness.stuck, readiness.due, readiness.caughtUp]).toEqual([false, true, false])
    readiness.asked()
    readiness.heartbeat(1, 105, false)
    expect(readiness.due).toBe(false)
    readiness.answered(subjects(107, 'k'))
    deliver(readiness, [107, 0, 'k'])
    expect(readiness.caughtUp).toBe(true)
    readiness.heartbeat(2, 120, false)
    expect(readiness.frontier).toBe(120)
  })
})

test('a gap, a count that differs and a step back are faults', () => {
  const readiness = new Readiness(start)
  const subject = bytes('s')
  expect(readiness.delivered(10, 2, 2, subject)).toEqual({ kind: 'gap', expected: 1, got: 2 })
  expect(readiness.delivered(10, 1, 2, subject)).toBeUndefined()
  expect(readiness.heartbeat(2, 60, false)).toEqual({ kind: 'lost', sent: 2, received: 1 })
  expect(readiness.heartbeat(0, 60, true)).toEqual({ kind: 'lost', sent: 0, received: 1 })
  expect(readiness.delivered(10, 2, 1, subject)).toEqual({ kind: 'order', frontier: 10, got: 10 })
  expect(readiness.frontier).toBe(10)
})
