export interface ListingTruthInput {
  readonly whenEvicted: 'drop' | 'keep'
  readonly evictsCurrentValues: boolean | undefined
  readonly evictsOldestFirst: boolean | undefined
  readonly firstRevision: bigint | undefined
  /** Whether the fold, or one it came from, saw the bucket evict current values. */
  readonly evictionSeen: boolean
}

/**
 * Whether a key that the bucket does not list is no key of the fold. Under `keep` a listing cannot tell a
 * deleted key from an evicted one, unless the bucket never evicts or has not lost anything yet, and was
 * not seen to. That it has not lost anything shows in its first revision, where the oldest goes first.
 */
export function listingIsTruth(input: ListingTruthInput): boolean {
  if (input.whenEvicted === 'drop') return true
  if (input.evictionSeen) return false
  if (input.evictsCurrentValues === false) return true
  return input.evictsCurrentValues === true && lostNothingYet(input)
}

/** Of a bucket that evicts. */
export function lostNothingYet({
  evictsOldestFirst,
  firstRevision,
}: Pick<ListingTruthInput, 'evictsOldestFirst' | 'firstRevision'>): boolean {
  return evictsOldestFirst === true && firstRevision !== undefined && firstRevision <= 1n
}
