export interface HandOverInput {
  /** Through which revision `apply` was given everything in this process; undefined when nothing, or in a new history. */
  readonly handedThrough: bigint | undefined
  /** undefined when the update has none in u64 form. */
  readonly revision: bigint | undefined
}

/**
 * Whether `apply` is given an update that was delivered, perhaps again because the fold came back
 * older. What it was given before it does not get twice; what cannot be compared it gets.
 */
export function handOver({ handedThrough, revision }: HandOverInput): 'hand' | 'skip' {
  if (handedThrough === undefined || revision === undefined) return 'hand'
  return revision > handedThrough ? 'hand' : 'skip'
}
