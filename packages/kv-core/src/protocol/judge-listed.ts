export interface ListedInput {
  /** The revision the bucket lists for a key. */
  readonly listed: bigint
  /** Through which revision the fold had applied everything when the audit began. */
  readonly start: bigint
  /** The revision the fold has, everything at or below `listed` being applied; undefined when the key is not live. */
  readonly held: bigint | undefined
  /** Whether the fold removed the key since the audit began. */
  readonly removedSince: boolean
  /** Whether the fold holds no value of it because of a limit of its store. */
  readonly skipped: boolean
  /** The revision of the removal the fold has in place of a skipped value; undefined when it keeps none. */
  readonly removedAt: bigint | undefined
}

/**
 * Judges one key of a listing. `pass`: it was written after the audit began, so that the watch speaks
 * for it.
 */
export function judgeListed(input: ListedInput): 'match' | 'pass' | 'wrong' {
  const { listed, start, held } = input
  if (listed > start) return 'pass'
  if (held === undefined) return input.removedSince || isSkipped(input) ? 'pass' : 'wrong'
  if (held === listed) return 'match'
  return held > start ? 'pass' : 'wrong'
}

/** A removal at another revision than the listed one stands for another value, which is gone: what it uncovered may fit. */
function isSkipped({ listed, skipped, removedAt }: ListedInput): boolean {
  return skipped && (removedAt === undefined || removedAt === listed)
}
