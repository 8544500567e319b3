import {
  WatchCursor,
  type Binding,
  type ExportedState,
  type IsPublishedInput,
  type Protocol,
} from '@slip/kv-core'
import { BINDING } from './attach-cases.ts'
import type { UnitCheck } from './unit-check.ts'

const STATE: ExportedState = {
  family: 'native',
  cursor: WatchCursor.fromRevision(5n),
  binding: BINDING,
  entries: 3,
}
const INPUT: IsPublishedInput = { fold: STATE, artifact: STATE, ageMs: 0, refreshMs: 100 }
const { incarnation: _, ...UNSTATED } = BINDING

const isPublished = (rules: Protocol, change: Partial<IsPublishedInput>): boolean =>
  rules.isPublished({ ...INPUT, ...change })
/** Whether a fold is published by an artifact that differs from it so, and the other way round. */
const either = (rules: Protocol, change: Partial<ExportedState>): readonly boolean[] => [
  isPublished(rules, { artifact: { ...STATE, ...change } }),
  isPublished(rules, { fold: { ...STATE, ...change } }),
]
const both = (rules: Protocol, change: Partial<ExportedState>): boolean =>
  isPublished(rules, { fold: { ...STATE, ...change }, artifact: { ...STATE, ...change } })
const bound = (change: Partial<Binding>): Partial<ExportedState> => ({ binding: { ...BINDING, ...change } })

/** When a round has nothing to export. */
export const PUBLISHED_CHECKS: readonly UnitCheck[] = [
  {
    of: 'isPublished',
    name: 'what is of the same state is published, at another cursor, memo or number of keys it is not',
    holds: (rules) =>
      isPublished(rules, {}) &&
      both(rules, { cursor: WatchCursor.none, entries: 0 }) &&
      [4n, 6n].every((at) => !either(rules, { cursor: WatchCursor.fromRevision(at) }).includes(true)) &&
      !either(rules, { cursor: WatchCursor.fromToken(STATE.cursor.token, { evictionSeen: true }) }).includes(
        true,
      ) &&
      [2, 4].every((entries) => !either(rules, { entries }).includes(true)),
  },
  {
    of: 'isPublished',
    name: 'of another bucket, history, scope or policy, or family, it is not',
    holds: (rules) =>
      (
        [
          { kind: 'other' },
          { name: 'other' },
          { incarnation: 'two' },
          { scope: ['b.'] },
          { scope: { sha256: '00' } },
          { whenEvicted: 'keep' },
          { emptyValues: 'keep' },
          { evictionSeen: true },
        ] as const
      ).every((change) => !either(rules, bound(change)).includes(true) && both(rules, bound(change))) &&
      !either(rules, { family: 'interchange' }).includes(true) &&
      !either(rules, bound({ emptyValues: 'tombstone' })).includes(false),
  },
  {
    of: 'isPublished',
    name: 'where the history or the number of keys is not stated nobody can tell',
    holds: (rules) =>
      !both(rules, { binding: undefined }) &&
      !both(rules, { binding: UNSTATED }) &&
      !both(rules, { entries: undefined }) &&
      [{ binding: undefined }, { binding: UNSTATED }, { entries: undefined }].every(
        (change) => !either(rules, change).includes(true),
      ),
  },
  {
    of: 'isPublished',
    name: 'what is as old as it may get, or as far ahead by its clock, is made anew',
    holds: (rules) =>
      isPublished(rules, { ageMs: 99 }) &&
      isPublished(rules, { ageMs: -99 }) &&
      [100, 101, -100, Infinity, Number.NaN].every((ageMs) => !isPublished(rules, { ageMs })) &&
      !isPublished(rules, { refreshMs: 0 }),
  },
]
