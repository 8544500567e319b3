import { describe, expect, test } from 'vitest'
import {
  OPENING,
  reduceStatus,
  visibleReason,
  visibleState,
  type FollowEvent,
  type Standing,
} from '../src/follow/status-reducer.ts'

const EVENTS: readonly FollowEvent[] = [
  { type: 'opened' },
  { type: 'sourceFailed', reason: 'Unreachable' },
  { type: 'proof' },
  { type: 'silence' },
  { type: 'attached' },
  { type: 'rebuilding', reason: 'bucketRecreated' },
  { type: 'caughtUp' },
  { type: 'held', reason: 'Io' },
  { type: 'released' },
  { type: 'sessionEnded', reason: 'Timeout' },
  { type: 'failed', reason: 'Io' },
  { type: 'closed' },
]

const after = (...types: FollowEvent['type'][]): Standing =>
  types.reduce(
    (standing, type) =>
      reduceStatus(
        standing,
        EVENTS.find((event) => event.type === type)!,
      ),
    OPENING,
  )

/** Every standing that any sequence of events leads to. */
const reachable = ((): Standing[] => {
  const found = new Map<string, Standing>([[JSON.stringify(OPENING), OPENING]])
  for (const standing of found.values())
    for (const event of EVENTS) {
      const next = reduceStatus(standing, event)
      found.set(JSON.stringify(next), next)
    }
  return [...found.values()]
})()

describe('the status', () => {
  test('goes from opening through connecting and catching up to live', () => {
    expect(visibleState(OPENING)).toBe('opening')
    expect(visibleState(after('opened'))).toBe('connecting')
    expect(visibleState(after('opened', 'proof', 'attached'))).toBe('catchingUp')
    expect(visibleState(after('opened', 'proof', 'attached', 'caughtUp'))).toBe('live')
  })

  test('an unreachable source is connecting, however long, until it answered once', () => {
    expect(visibleState(after('opened', 'sourceFailed', 'silence'))).toBe('connecting')
    expect(visibleState(after('opened', 'proof', 'attached', 'sessionEnded', 'silence'))).toBe('stale')
  })

  test('stale covers every state but failed and closed, and ends with any proof, where it began', () => {
    for (const standing of reachable) {
      const silent = reduceStatus(standing, { type: 'silence' })
      const ended = standing.base === 'failed' || standing.base === 'closed'
      if (standing.contacted && !ended) {
        expect(visibleState(silent)).toBe('stale')
        expect(visibleReason(silent)).toBeDefined()
      }
      expect(visibleState(reduceStatus(silent, { type: 'proof' }))).toBe(
        standing.base === 'live' && standing.held !== undefined ? 'catchingUp' : standing.base,
      )
    }
  })

  test('live is claimed only after caughtUp with nothing but proofs since', () => {
    for (const standing of reachable)
      for (const event of EVENTS)
        if (visibleState(reduceStatus(standing, event)) === 'live')
          expect(event.type === 'caughtUp' || standing.base === 'live').toBe(true)
  })

  test('a batch that does not get through is told as the reason, and live is not claimed meanwhile', () => {
    for (const standing of reachable) {
      const held = reduceStatus(standing, { type: 'held', reason: 'Io' })
      if (standing.base === 'closed' || standing.base === 'failed') expect(held).toBe(standing)
      else {
        expect(visibleState(held)).not.toBe('live')
        expect(visibleReason(held)).toBe('Io')
        expect(reduceStatus(held, { type: 'released' })).toEqual({ ...standing, held: undefined })
      }
    }
  })

  test('nothing follows failed but closed, and nothing follows closed', () => {
    for (const event of EVENTS) {
      expect(reduceStatus(after('closed'), event)).toEqual(after('closed'))
      const next = reduceStatus(after('opened', 'failed'), event)
      expect(visibleState(next)).toBe(event.type === 'closed' ? 'closed' : 'failed')
    }
  })

  test('a rebuild says why until it is live again', () => {
    const rebuilding = after('opened', 'proof', 'rebuilding')
    expect([visibleState(rebuilding), visibleReason(rebuilding)]).toEqual(['resyncing', 'bucketRecreated'])
    expect(visibleReason(reduceStatus(rebuilding, { type: 'caughtUp' }))).toBeUndefined()
  })
})
