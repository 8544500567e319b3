import { lostNothingYet } from './listing-is-truth.ts'

export interface EvictionInput {
  readonly whenEvicted: 'drop' | 'keep'
  /** Whether the fold, or one it came from, saw it before. */
  readonly before: boolean
  readonly evictsCurrentValues: boolean | undefined
  readonly evictsOldestFirst: boolean | undefined
  readonly firstRevision: bigint | undefined
}

/**
 * Whether a replica of record has to remember that its bucket evicts: from then on a key that is missing
 * there may have been evicted, also when the bucket stops evicting. A mirror has no use for it.
 */
export function sawEviction(input: EvictionInput): boolean {
  if (input.before) return true
  return input.whenEvicted === 'keep' && input.evictsCurrentValues === true && !lostNothingYet(input)
}
