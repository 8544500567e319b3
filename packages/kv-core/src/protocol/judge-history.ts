import type { Anchor } from '../lineage.ts'
import type { StoredMessage } from '../source.ts'

/**
 * `same`: what the bucket holds up to the cursor is what the fold applied, so going on from it gives
 * the bucket, keys that are gone aside: those the count tells. `other`: the bucket was rolled back or
 * made anew. `differs`: it holds an older revision of a key than the fold applied, which the removal of
 * a newer one uncovers where a key keeps several, and a rollback too. `unknown`: nothing of what the
 * fold remembers is left.
 */
export type HistoryVerdict = 'same' | 'other' | 'differs' | 'unknown'

export interface HistoryEvidence {
  /**
   * Newest first, one for each key: every key whose newest applied revision is at or above the oldest
   * of them is among them.
   */
  readonly anchors: readonly Anchor[]
  /** Whether they name every key that was ever applied. */
  readonly complete: boolean
  /** Through which revision everything was applied. */
  readonly cursor: bigint
  /**
   * Anchors above it may be of another history than those below: they were applied by one session since
   * the bucket was asked last. Absent: they are all of one.
   */
  readonly trusted?: bigint | undefined
  /** How many revisions the bucket keeps of a key; undefined when it does not say. */
  readonly historyPerKey: number | undefined
  /** What is stored at the revisions of the first anchors, in their order, as far as it was asked. */
  readonly at: readonly (StoredMessage | undefined)[]
  /** Of each revision that was asked for, the oldest stored message in scope above it. */
  readonly firstAfter: readonly (StoredMessage | undefined)[]
  /** The newest stored message of each key that was asked for, in their order; absent before that. */
  readonly newest?: readonly (StoredMessage | undefined)[]
}

/** What to ask the bucket next, or what is proven. */
export type HistoryStep =
  | { readonly ask: 'at'; readonly revisions: readonly bigint[] }
  | { readonly ask: 'firstAfter'; readonly revision: bigint }
  | { readonly ask: 'newest'; readonly keys: readonly string[] }
  | { readonly verdict: HistoryVerdict }

/** A bucket in which more than this is left of what newer revisions replaced is listed instead. */
const MOST_LEFTOVERS = 8

/**
 * Judges whether a bucket still has the history a fold was made from.
 *
 * An anchor that is still stored, same key and same time, proves that the bucket agrees with the fold
 * up to it, where it was applied in the one history that is being proven. The anchors above it name all
 * keys that were applied there; so the bucket agrees up to the cursor when what it holds between that
 * anchor and the cursor are these anchors, or revisions of their keys that newer ones replaced, and each
 * anchor it does not hold is gone or has a revision above the cursor, which will be delivered.
 */
export function judgeHistory(evidence: HistoryEvidence): HistoryStep {
  const { anchors, at, complete, cursor, historyPerKey, newest, trusted = cursor } = evidence
  if (at.some((found, i) => found !== undefined && !isMessageOf(anchors[i]!, found)))
    return { verdict: 'other' }
  const proof = anchors.findIndex(({ revision }, i) => at[i] !== undefined && revision <= trusted)
  if (proof < 0 && at.length < anchors.length) return nextAnchors(evidence)

  const walked = walk(evidence, proof < 0 ? lowerBound(evidence) : anchors[proof]!.revision)
  if (walked !== 'clean') return walked
  const missing = anchors.filter((_, i) => i < at.length && at[i] === undefined)
  if (newest === undefined && missing.length > 0)
    return { ask: 'newest', keys: missing.map(({ key }) => key) }
  if (newest?.some((message) => message !== undefined && message.revision <= cursor) === true)
    return { verdict: historyPerKey === 1 ? 'other' : 'differs' }
  return { verdict: proof >= 0 || complete ? 'same' : 'unknown' }
}

/** Most often the first is there, so the rest is asked for in growing parts; what is not trusted at once. */
function nextAnchors({ anchors, at, cursor, trusted = cursor }: HistoryEvidence): HistoryStep {
  const untrusted = anchors.filter(({ revision }) => revision > trusted).length
  const end = Math.max(untrusted, at.length === 0 ? 1 : at.length < 8 ? 8 : anchors.length)
  return { ask: 'at', revisions: anchors.slice(at.length, end).map(({ revision }) => revision) }
}

/** Above this revision every key that was applied is among the anchors. */
function lowerBound({ anchors, complete, cursor }: HistoryEvidence): bigint {
  if (complete) return 0n
  const oldest = anchors.at(-1)?.revision
  return oldest === undefined ? cursor : oldest - 1n
}

/** Passes over everything that is stored between `from` and the cursor: of nothing, where they are the same. */
function walk(evidence: HistoryEvidence, from: bigint): HistoryStep | 'clean' {
  const { anchors, at, cursor, firstAfter, historyPerKey } = evidence
  if (from >= cursor) return 'clean'
  let leftovers = 0
  for (const message of firstAfter) {
    if (message === undefined || message.revision > cursor) return 'clean'
    const { key, revision } = message
    if (anchors.some((anchor, i) => at[i] !== undefined && anchor.revision === revision)) continue
    const replaced = anchors.some((anchor) => anchor.key === key && anchor.revision > revision)
    if (!replaced || historyPerKey === 1) return { verdict: 'other' }
    if (++leftovers > MOST_LEFTOVERS) return { verdict: 'unknown' }
  }
  return { ask: 'firstAfter', revision: firstAfter.at(-1)?.revision ?? from }
}

function isMessageOf(anchor: Anchor, message: StoredMessage): boolean {
  return message.key === anchor.key && BigInt(Math.trunc(message.writtenAtMs)) === anchor.timeMs
}
