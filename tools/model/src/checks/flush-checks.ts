import { VersionToken, WatchCursor, type FlushInput } from '@slip/kv-core'
import type { UnitCheck } from './unit-check.ts'

const failed: FlushInput = {
  outcome: 'commitFailed',
  failingForMs: 0,
  budgetMs: 10,
  aborted: false,
  reopenable: true,
}

/** What a failed flush leaves. */
export const FLUSH_CHECKS: readonly UnitCheck[] = [
  {
    of: 'afterFlush',
    name: 'the budget is over at its end, and without one nothing is tried again',
    holds: (rules) =>
      (['applyFailed', 'commitFailed'] as const).every(
        (outcome) =>
          rules.afterFlush({ ...failed, outcome, failingForMs: 9 }).next === 'retry' &&
          rules.afterFlush({ ...failed, outcome, failingForMs: 10 }).next === 'fail' &&
          rules.afterFlush({ ...failed, outcome, budgetMs: 0 }).next === 'fail',
      ),
  },
  {
    of: 'afterFlush',
    name: 'the cursor moves only with a commit',
    holds: (rules) =>
      (['committed', 'applyFailed', 'commitFailed', 'poisoned'] as const).every(
        (outcome) =>
          (rules.afterFlush({ ...failed, outcome }).cursor === 'advance') === (outcome === 'committed'),
      ),
  },
  {
    of: 'afterFlush',
    name: 'an apply that fails leaves the handle good, and needs none that can be opened again',
    holds: (rules) => {
      const { handle, next } = rules.afterFlush({ ...failed, outcome: 'applyFailed', reopenable: false })
      return handle === 'good' && next === 'retry'
    },
  },
  {
    of: 'afterReopen',
    name: 'a memo is no position',
    holds: (rules) => {
      const token = VersionToken.fromRevision(3n)
      const found = WatchCursor.fromToken(token, { evictionSeen: true })
      const before = WatchCursor.fromRevision(3n)
      const attempted = WatchCursor.fromRevision(4n)
      return rules.afterReopen({ found, before, attempted }) === 'commit'
    },
  },
]
