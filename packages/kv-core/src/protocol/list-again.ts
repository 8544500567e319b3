import type { KeyCounts } from './audit.ts'

export interface ListAgainInput {
  /** How often in a row the bucket was listed because its count differed, and it still did afterwards; at least 1. */
  readonly listings: number
  /** After the last of them. */
  readonly counts: KeyCounts
  /** After the one before; undefined for none. */
  readonly before: KeyCounts | undefined
}

const MOST_IN_A_ROW = 3

/**
 * Whether the bucket is listed again at once, though listing it did not make the counts equal. A key that
 * vanished meanwhile makes them differ, and the next listing finds it. Where two different things are
 * counted every listing comes to the same: then listing on would be work for ever, for nothing.
 */
export function listAgain({ listings, counts, before }: ListAgainInput): boolean {
  const same = counts.keyCount === before?.keyCount && counts.foldCount === before.foldCount
  return listings < MOST_IN_A_ROW && !same
}
