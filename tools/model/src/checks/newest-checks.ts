import type { UnitCheck } from './unit-check.ts'

/** What a writer asks before it commits. */
export const NEWEST_CHECKS: readonly UnitCheck[] = [
  {
    of: 'beginsAtNewest',
    name: 'the newest commit has the number before, no other',
    holds: (rules) =>
      [0, 1, 2, 3, 5, 6].every((transaction) => !rules.beginsAtNewest({ transaction, newest: 3 })) &&
      rules.beginsAtNewest({ transaction: 4, newest: 3 }),
  },
]
