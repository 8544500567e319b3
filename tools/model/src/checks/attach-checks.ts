import { WatchCursor } from '@slip/kv-core'
import { BINDING, SOURCE, FOREIGN, UNSTATED, decided, told } from './attach-cases.ts'
import type { UnitCheck } from './unit-check.ts'

/** Whether a fold may go on from its cursor. */
export const ATTACH_CHECKS: readonly UnitCheck[] = [
  {
    of: 'attach',
    name: 'the fold of another kind, name or scope is foreign, before anything else is said',
    holds: (rules) =>
      (
        [
          ['kind', { binding: { ...BINDING, kind: 'other' } }],
          ['name', { binding: { ...BINDING, name: 'other' } }],
          ['scope', { binding: { ...BINDING, scope: ['b.'] } }],
          ['scope', { binding: { ...BINDING, scope: [] }, cursor: WatchCursor.none, populated: false }],
        ] as const
      ).every(([differs, fold]) => {
        const decision = decided(rules, { fold, finding: 'bucketRecreated' })
        return decision.action === 'foreign' && decision.differs === differs
      }),
  },
  {
    of: 'attach',
    name: 'without a binding, or with an incarnation nobody states, nothing contradicts',
    holds: (rules) =>
      told(rules, { fold: { binding: undefined } }) === 'resume' &&
      told(rules, { source: UNSTATED }) === 'resume' &&
      told(rules, { fold: { binding: { ...BINDING, incarnation: undefined as never } } }) === 'resume',
  },
  {
    of: 'attach',
    name: 'a fold that is no state of its bucket is listed although its history is the same',
    holds: (rules) =>
      told(rules, { fold: { settled: false }, history: 'same' }) === 'reconcile' &&
      told(rules, { fold: { settled: true }, history: 'same' }) === 'resume' &&
      told(rules, { history: 'same' }) === 'resume' &&
      told(rules, { fold: { settled: true }, history: 'unknown' }) === 'reconcile' &&
      told(rules, { fold: { settled: false } }) === 'resume',
  },
  {
    of: 'attach',
    name: 'another incarnation is another history, whatever else agrees',
    holds: (rules) =>
      told(rules, { source: { ...SOURCE, incarnation: 'two' } }) === 'rebuild bucketRecreated',
  },
  {
    of: 'attach',
    name: 'entries without a position are made anew, and no entries are a fresh fold',
    holds: (rules) =>
      told(rules, { fold: { cursor: WatchCursor.none } }) === 'rebuild cursorMissing' &&
      told(rules, { fold: { cursor: WatchCursor.none, populated: false } }) === 'fresh' &&
      told(rules, { fold: { populated: false } }) === 'resume',
  },
  {
    of: 'attach',
    name: 'a cursor that is no revision is resumed only where nothing is numbered',
    holds: (rules) => {
      const { firstRevision: _first, lastRevision: _last, ...unnumbered } = SOURCE
      return (
        told(rules, { fold: { cursor: FOREIGN } }) === 'rebuild cursorExpired' &&
        told(rules, { fold: { cursor: FOREIGN }, source: unnumbered }) === 'resume'
      )
    },
  },
  {
    of: 'attach',
    name: 'first, last and cursor: rolled back above the last, expired below the first where values are evicted',
    holds: (rules) => {
      for (const evicts of [false, true, undefined])
        for (let first = 1n; first <= 4n; first++)
          for (let last = first - 1n; last <= 4n; last++)
            for (let at = 1n; at <= 4n; at++) {
              const { evictsCurrentValues: _evicts, ...rest } = SOURCE
              const source = {
                ...rest,
                firstRevision: first,
                lastRevision: last,
                ...(evicts === undefined ? {} : { evictsCurrentValues: evicts }),
              }
              const expected =
                at > last
                  ? 'rebuild bucketRolledBack'
                  : first > at + 1n && evicts !== false
                    ? 'rebuild cursorExpired'
                    : 'resume'
              if (told(rules, { fold: { cursor: WatchCursor.fromRevision(at) }, source }) !== expected)
                return false
            }
      return true
    },
  },
  {
    of: 'attach',
    name: 'ends that a source does not state contradict nothing',
    holds: (rules) => {
      const { firstRevision: _first, ...noFirst } = SOURCE
      const { lastRevision: _last, ...noLast } = SOURCE
      return (
        told(rules, { source: { ...noFirst, evictsCurrentValues: true } }) === 'resume' &&
        told(rules, { source: { ...noLast, evictsCurrentValues: true } }) === 'resume'
      )
    },
  },
]
