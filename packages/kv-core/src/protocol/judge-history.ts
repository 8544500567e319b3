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
 * up to it. The anchors above it are not stored, and they name all keys that were applied there; so
 * the bucket agrees up to the cursor when between that anchor and the cursor it holds at most revisions
 * of them that newer ones replaced, and each of them is gone or has a revision above the cursor, which
 * will be delivered.
 */
export function judgeHistory(evidence: HistoryEvidence): HistoryStep {
  const { anchors, at, cursor, historyPerKey, firstAfter, newest } = evidence
  const absent = at.findIndex((found) => found !== undefined)
  const found = at[absent]
  if (found !== undefined && !isMessageOf(anchors[absent]!, found)) return { verdict: 'other' }
  if (found === undefined && at.length < anchors.length) return nextAnchors(evidence)

  const missing = found === undefined ? anchors : anchors.slice(0, absent)
  if (firstAfter.length === 0) return { ask: 'firstAfter', revision: lowerBound(evidence, found) }
  const between = firstAfter.at(-1)
  if (between !== undefined && between.revision <= cursor) {
    const replaced = missing.some(({ key, revision }) => key === between.key && revision > between.revision)
    if (!replaced || historyPerKey === 1) return { verdict: 'other' }
    if (firstAfter.length > MOST_LEFTOVERS) return { verdict: 'unknown' }
    return { ask: 'firstAfter', revision: between.revision }
  }
  if (newest === undefined && missing.length > 0)
    return { ask: 'newest', keys: missing.map(({ key }) => key) }
  if (newest?.some((message) => message !== undefined && message.revision <= cursor) === true)
    return { verdict: historyPerKey === 1 ? 'other' : 'differs' }
  return { verdict: found !== undefined || evidence.complete ? 'same' : 'unknown' }
}

/** Most often the first is there, so the rest is asked for in growing parts. */
function nextAnchors({ anchors, at }: HistoryEvidence): HistoryStep {
  const end = at.length === 0 ? 1 : at.length < 8 ? 8 : anchors.length
  return { ask: 'at', revisions: anchors.slice(at.length, end).map(({ revision }) => revision) }
}

/** Above this revision every key that was applied is among the anchors that are not stored. */
function lowerBound(
  { anchors, complete, cursor }: HistoryEvidence,
  found: StoredMessage | undefined,
): bigint {
  if (found !== undefined) return found.revision
  const oldest = anchors.at(-1)?.revision
  if (complete) return 0n
  return oldest === undefined ? cursor : oldest - 1n
}

function isMessageOf(anchor: Anchor, message: StoredMessage): boolean {
  return message.key === anchor.key && BigInt(Math.trunc(message.writtenAtMs)) === anchor.timeMs
}
