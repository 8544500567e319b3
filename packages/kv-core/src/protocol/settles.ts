export interface SettlesInput {
  /** Whether the fold was a state of the bucket. */
  readonly settled: boolean
  /** Through which revision everything was delivered before; undefined for none. */
  readonly frontier: bigint | undefined
  /** Of the update that is applied; undefined for a bookmark, and where it is not numbered. */
  readonly delivered: bigint | undefined
  /** Whether the source had nothing beyond it when it sent it. */
  readonly atEnd: boolean
}

/**
 * Whether a fold that takes the next update, or bookmark, is a state that its bucket was in. While it
 * catches up it need not be one: of a key that was written again beyond the cursor it has an older value
 * than the bucket ever had beside the newest applied update. It is one when nothing was left to be sent,
 * and stays one as long as no revision is missing.
 */
export function settles({ settled, frontier = 0n, delivered, atEnd }: SettlesInput): boolean {
  return atEnd || (settled && delivered === frontier + 1n)
}
