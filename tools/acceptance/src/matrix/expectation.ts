import type { FollowStatus, RebuildReason, Unverified } from '@slip/kv-core'
import { atLeast } from '@slip/nats-server'
import type { Cell } from './cell.ts'
import { BUDGET_MS, type Observation } from './cell-run.ts'

/** How a cell has to end. */
export type Expectation =
  /** Right after one repair or more, each for one of these reasons, and verified. */
  | { readonly ends: 'repaired'; readonly by: readonly RebuildReason[] }
  /** Right without a repair, and verified. */
  | { readonly ends: 'untouched' }
  /**
   * It has everything that was written and not deleted, though the bucket has not; a count would say nothing.
   * `orRefused`: or it could not tell what it had missed from what is not in its scope, or was cut off before
   * it had caught up.
   */
  | { readonly ends: 'kept'; readonly orRefused?: boolean }
  /** It ended with `RepairRefused`: what the bucket evicted unseen is in no listing. */
  | { readonly ends: 'refused' }
  /** Its status names the check it cannot make. */
  | { readonly ends: 'told'; readonly unverified: Unverified }

const COUNT: Expectation = { ends: 'repaired', by: ['countMismatch'] }
/** A cursor of a narrow scope may lie below what age or size has removed. */
const COUNT_OR_CURSOR: Expectation = { ends: 'repaired', by: ['countMismatch', 'cursorExpired'] }

/** What the follower owes in this cell. */
export function expectationOf(cell: Cell): Expectation {
  const { fault, state, after, version } = cell
  if (cell.scope === 'part') return { ends: 'told', unverified: 'count' }
  const evicts = fault === 'H4' || fault === 'H6' || fault === 'H7'
  if (cell.policy === 'keep' && (evicts || (fault === 'H5' && atLeast(version, '2.11'))))
    return evicts && state === 'stopped' && after === 'writes'
      ? { ends: 'refused' }
      : { ends: 'kept', orRefused: evicts && (state === 'catchingUp' || state === 'hydrating') }
  return repairOf(cell)
}

/** What a fold that mirrors its bucket is repaired for. */
export function repairOf({ fault, version }: Pick<Cell, 'fault' | 'version'>): Expectation {
  switch (fault) {
    case 'H4':
    case 'H6':
    case 'H7':
      return COUNT_OR_CURSOR
    case 'H5':
      // A server before 2.11 ignores the header: nothing expires.
      return atLeast(version, '2.11') ? COUNT : { ends: 'untouched' }
    case 'H9':
      return { ends: 'repaired', by: ['bucketRecreated'] }
    case 'H10':
    case 'H11':
      return { ends: 'repaired', by: ['bucketRolledBack'] }
    case 'H12':
      // An older server contradicts itself about the key, so that more than one check misses it.
      return atLeast(version, '2.11')
        ? { ends: 'repaired', by: ['revisionMismatch'] }
        : { ends: 'repaired', by: ['revisionMismatch', 'countMismatch', 'bucketRolledBack'] }
    default:
      return COUNT
  }
}

/**
 * What is wrong with how a cell ended; empty when it ended as it has to. `repairMs`: how long a repair may
 * take once the status told of it, beyond the budget for everything.
 */
export function shortcomings(
  expected: Expectation,
  seen: Observation,
  { repairMs = 0 }: { readonly repairMs?: number } = {},
): readonly string[] {
  const { repairs, status, verified, detectedMs = 0, rightMs } = seen
  if (expected.ends === 'told') {
    const told = status.unverified.includes(expected.unverified)
    return told ? [] : [`unverified is [${status.unverified.join(', ')}], without ${expected.unverified}`]
  }
  const refused = status.state === 'failed' && status.reason === 'RepairRefused'
  if (expected.ends === 'refused')
    return refused ? [] : [claim(status), `its states: ${seen.history.join(', ')}`]
  if (expected.ends === 'kept' && expected.orRefused === true && refused) return []
  const found: string[] = []
  if (!seen.right) found.push(`${claim(status)}, but ${seen.differences.slice(0, 5).join('; ')}`)
  else if (rightMs !== undefined && rightMs > BUDGET_MS + repairMs)
    found.push(`right only after ${rightMs.toFixed(0)} ms`)
  else if (detectedMs > BUDGET_MS) found.push(`detected only after ${detectedMs.toFixed(0)} ms`)
  if (!verified && expected.ends !== 'kept') found.push(`verified only through ${status.verifiedThrough}`)
  const allowed: readonly string[] = expected.ends === 'repaired' ? expected.by : []
  const strange = repairs.filter((reason) => !allowed.includes(reason))
  if (strange.length > 0) found.push(`repaired for ${strange.join(', ')}`)
  if (expected.ends === 'repaired' && repairs.length === 0) found.push('nothing was repaired')
  return found.length === 0 ? [] : [...found, `its states: ${seen.history.join(', ')}`]
}

/**
 * Whether a follower came to be right, or was about to, but it, or its audit, took longer than it may. One whose
 * audit is overdue says that it does not count.
 */
export function isLate({ right, rightMs, status, verified }: Observation): boolean {
  if (!right) return status.state === 'resyncing' || status.unverified.includes('count')
  return (rightMs !== undefined && rightMs > BUDGET_MS) || !verified
}

function claim({ state, verifiedThrough, unverified }: FollowStatus): string {
  return `${state}, verified through ${verifiedThrough}, unverified [${unverified.join(', ')}]`
}
