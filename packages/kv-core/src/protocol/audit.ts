import { listingIsTruth } from './listing-is-truth.ts'

/** Numbers of keys at one revision. */
export interface KeyCounts {
  /** What the source said when it was at that revision. */
  readonly keyCount: bigint
  /** Of the fold with everything up to that revision. */
  readonly foldCount: bigint
}

export interface AuditInput {
  /** 0 for no position. undefined when the cursor has no u64 form. */
  readonly appliedRevision: bigint | undefined
  /** Both from one instant of the source. */
  readonly lastRevision: bigint | undefined
  readonly keyCount: bigint | undefined
  /** Entries, deleted keys and skipped keys of the fold; undefined when the store does not keep deleted keys. */
  readonly foldCount: bigint | undefined
  /**
   * How many messages at most the bucket had when its keys were counted, and the fold was not given: they
   * were written again, or removed, on their way, or came after `lastRevision`. Absent: none.
   */
  readonly undelivered?: bigint | undefined
  /** Of a second description, made when the fold had been looked at. */
  readonly later?: KeyCounts | undefined
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
 * Under writers a key that is new may not have been delivered at `lastRevision`: it comes later, with a
 * later revision when it was written again before, or not at all when it was removed. As long as there
 * may be such keys only more keys than the bucket, or fewer by more than these, are a difference; and
 * equal counts are proof when they are equal again later, and no key came in between.
 */
export function audit(input: AuditInput): 'equal' | 'wait' | 'rebuild' | 'off' {
  const { appliedRevision, lastRevision, keyCount, foldCount, later, undelivered = 0n } = input
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
  if (foldCount > keyCount || keyCount - foldCount > undelivered) return 'rebuild'
  if (undelivered === 0n) return 'equal'
  if (later === undefined) return 'wait'
  if (later.foldCount > later.keyCount) return 'rebuild'
  const stayed = later.keyCount === keyCount && later.foldCount === foldCount
  return keyCount === foldCount && stayed ? 'equal' : 'wait'
}
