export interface ListingTruthInput {
  readonly whenEvicted: 'drop' | 'keep'
  readonly evictsCurrentValues: boolean | undefined
  readonly firstRevision: bigint | undefined
  /** Whether the fold, or one it came from, saw the bucket evict current values. */
  readonly evictionSeen: boolean
}

/**
 * Whether a key that the bucket does not list is no key of the fold. Under `keep` a listing cannot tell a
 * deleted key from an evicted one, unless the bucket never evicts or has not lost anything yet, and was
 * not seen to.
 */
export function listingIsTruth(input: ListingTruthInput): boolean {
  if (input.whenEvicted === 'drop') return true
  if (input.evictionSeen) return false
  if (input.evictsCurrentValues === false) return true
  return input.evictsCurrentValues === true && input.firstRevision !== undefined && input.firstRevision <= 1n
}
