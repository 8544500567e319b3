export interface ListingTallyInput {
  readonly start: bigint
  /** At which revision the listing was complete. */
  readonly listedAt: bigint | undefined
  /** Live entries of the fold when the audit began; undefined when the listing leaves out some of them by design. */
  readonly entries: number | undefined
  /** Keys of the listing that were judged so. */
  readonly matched: number
  readonly wrong: number
  /** Of those entries, the ones that were written or removed before the audit ended. */
  readonly touched: number
  /** Of the touched ones, those that had been matched before. */
  readonly touchedAfterMatch: number
  /** Whether the keys came in the order of their last writes. */
  readonly ordered: boolean
}

/**
 * Judges a fold by a whole listing of its bucket. Each of its entries has to be matched or touched; one
 * that is neither is no key of the bucket any more. `wait`: this listing proves nothing.
 */
export function auditListing(tally: ListingTallyInput): 'equal' | 'wait' | 'rebuild' {
  const { entries, matched, touched, touchedAfterMatch } = tally
  if (tally.listedAt === undefined || tally.listedAt < tally.start) return 'wait'
  if (tally.wrong > 0) return 'rebuild'
  if (entries === undefined) return 'equal'
  const missing = entries - matched - (touched - touchedAfterMatch)
  // Which of the touched ones were matched before is told by the order alone.
  if (missing < 0 || (missing > 0 && touched > 0 && !tally.ordered)) return 'wait'
  return missing === 0 ? 'equal' : 'rebuild'
}
