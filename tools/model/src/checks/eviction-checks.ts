import type { EvictionInput, OverrunInput, Protocol } from '@slip/kv-core'
import type { UnitCheck } from './unit-check.ts'

const overrun = (rules: Protocol, change: Partial<OverrunInput>): boolean =>
  rules.overrun({
    revision: 5n,
    appliedAtMs: undefined,
    firstRevision: 7n,
    evictsCurrentValues: true,
    evictsAfterMs: undefined,
    serverTimeMs: undefined,
    evictionSeen: false,
    ...change,
  })

const sees = (rules: Protocol, change: Partial<EvictionInput>): boolean =>
  rules.sawEviction({
    whenEvicted: 'keep',
    before: false,
    evictsCurrentValues: true,
    evictsOldestFirst: true,
    firstRevision: 2n,
    ...change,
  })

/** Nothing but age evicts, and the cursor is as old as it may be. */
const aged = { evictsAfterMs: 100, serverTimeMs: 1_000, appliedAtMs: 950n } as const

/** What a bucket that evicts may have taken from a fold. */
export const EVICTION_CHECKS: readonly UnitCheck[] = [
  {
    of: 'overrun',
    name: 'only where the bucket begins above the next revision, and says so',
    holds: (rules) =>
      overrun(rules, {}) &&
      !overrun(rules, { firstRevision: 6n }) &&
      !overrun(rules, { firstRevision: 5n }) &&
      !overrun(rules, { firstRevision: undefined }) &&
      !overrun(rules, { firstRevision: undefined, evictsCurrentValues: undefined }),
  },
  {
    of: 'overrun',
    name: 'not where values are never evicted, unless they were',
    holds: (rules) =>
      overrun(rules, { evictsCurrentValues: undefined }) &&
      !overrun(rules, { evictsCurrentValues: false }) &&
      overrun(rules, { evictsCurrentValues: false, evictionSeen: true }) &&
      !overrun(rules, { evictsCurrentValues: false, evictionSeen: true, firstRevision: 6n }) &&
      overrun(rules, { ...aged, evictsCurrentValues: false, evictionSeen: true }),
  },
  {
    of: 'overrun',
    name: 'by age alone only what began half that age ago, on either side of the clock',
    holds: (rules) =>
      !overrun(rules, aged) &&
      !overrun(rules, { ...aged, evictionSeen: true }) &&
      !overrun(rules, { ...aged, appliedAtMs: 1_050n }) &&
      overrun(rules, { ...aged, appliedAtMs: 949n }) &&
      overrun(rules, { ...aged, appliedAtMs: 1_051n }) &&
      overrun(rules, { ...aged, appliedAtMs: undefined }) &&
      overrun(rules, { ...aged, evictsAfterMs: undefined }) &&
      overrun(rules, { ...aged, serverTimeMs: undefined }),
  },
  {
    of: 'sawEviction',
    name: 'what was seen before is never forgotten, whatever the bucket says now',
    holds: (rules) =>
      sees(rules, { before: true, evictsCurrentValues: false }) &&
      sees(rules, { before: true, whenEvicted: 'drop' }),
  },
  {
    of: 'sawEviction',
    name: 'a replica of record sees it where the bucket evicts, and may have lost something',
    holds: (rules) =>
      sees(rules, {}) &&
      !sees(rules, { firstRevision: 1n }) &&
      !sees(rules, { firstRevision: 0n }) &&
      sees(rules, { firstRevision: undefined }) &&
      sees(rules, { firstRevision: 1n, evictsOldestFirst: false }) &&
      sees(rules, { firstRevision: 1n, evictsOldestFirst: undefined }) &&
      !sees(rules, { evictsCurrentValues: false }) &&
      !sees(rules, { evictsCurrentValues: undefined }) &&
      !sees(rules, { whenEvicted: 'drop' }),
  },
]
