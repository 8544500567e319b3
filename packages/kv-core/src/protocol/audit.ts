import { listingIsTruth } from './listing-is-truth.ts'

export interface AuditInput {
  /** 0 for no position. undefined when the cursor has no u64 form. */
  readonly appliedRevision: bigint | undefined
  /** Both from one instant of the source. */
  readonly lastRevision: bigint | undefined
  readonly keyCount: bigint | undefined
  /** Entries, deleted keys and skipped keys of the fold; undefined when the store does not keep deleted keys. */
  readonly foldCount: bigint | undefined
  /**
   * The same when the fold had applied everything the bucket had after it had delivered `lastRevision`.
   * Absent when the bucket stood still meanwhile.
   */
  readonly laterFoldCount?: bigint | undefined
  readonly whenEvicted: 'drop' | 'keep'
  readonly evictsCurrentValues: boolean | undefined
  readonly evictsOldestFirst?: boolean | undefined
  readonly firstRevision?: bigint | undefined
  readonly evictionSeen: boolean
}

/**
 * Compares numbers of keys. A fold that applied everything up to the bucket's last revision holds
 * every key of the bucket, so equal counts mean equal key sets. Ahead or behind, counts say nothing:
 * `wait`. Where the fold keeps what the bucket evicts they are bound to differ: `off`.
 *
 * Under writers a key that is new and was written again before it was delivered is missing at
 * `lastRevision`, and comes with its later revision before `laterFoldCount`; one that left again before
 * does not come at all. So only more keys than the bucket are a difference, and equal counts are proof
 * when no key came in between.
 */
export function audit(input: AuditInput): 'equal' | 'wait' | 'rebuild' | 'off' {
  const { appliedRevision, lastRevision, keyCount, foldCount } = input
  if (
    appliedRevision === undefined ||
    lastRevision === undefined ||
    keyCount === undefined ||
    foldCount === undefined
  )
    return 'off'
  if (
    !listingIsTruth({
      ...input,
      evictsOldestFirst: input.evictsOldestFirst,
      firstRevision: input.firstRevision,
    })
  )
    return 'off'
  if (appliedRevision !== lastRevision) return 'wait'
  const { laterFoldCount } = input
  if (keyCount === foldCount) return (laterFoldCount ?? foldCount) === foldCount ? 'equal' : 'wait'
  return laterFoldCount === undefined || foldCount > keyCount ? 'rebuild' : 'wait'
}
