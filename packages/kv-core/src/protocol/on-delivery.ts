export interface DeliveryInput {
  /** The highest revision delivered or bookmarked so far; undefined before the first. */
  readonly frontier: bigint | undefined
  /** undefined when the update has none in u64 form. */
  readonly revision: bigint | undefined
  /** Whether the session before this one ended for the same reason without progress. */
  readonly suspect: boolean
}

/**
 * Judges one delivered update. A revision at or below the frontier is a redelivery or the proof of
 * another history: the session ends and the fold is attached anew; if that changed nothing, rebuilt.
 */
export function onDelivery(input: DeliveryInput): 'apply' | 'reattach' | 'rebuild' {
  const { frontier, revision } = input
  if (frontier === undefined || revision === undefined || revision > frontier) return 'apply'
  return input.suspect ? 'rebuild' : 'reattach'
}
