export interface BookmarkInput {
  /** The highest revision delivered or bookmarked so far; undefined before the first. */
  readonly frontier: bigint | undefined
  /** undefined when the bookmark has no u64 form. */
  readonly revision: bigint | undefined
  /** Whether it is the position the watch stands at, byte for byte. */
  readonly same: boolean
}

/**
 * Whether a bookmark moves the position: never back. One without a u64 form cannot be compared and is
 * the word of its source.
 */
export function onBookmark({ frontier, revision, same }: BookmarkInput): 'advance' | 'ignore' {
  if (same) return 'ignore'
  if (revision === undefined || frontier === undefined) return 'advance'
  return revision > frontier ? 'advance' : 'ignore'
}
