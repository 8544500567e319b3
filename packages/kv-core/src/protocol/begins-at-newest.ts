export interface BeginsAtNewestInput {
  /** The number of a transaction that is being written; the commit it begins at has the one before. */
  readonly transaction: number
  /** The number of the newest commit in the file, read while nobody else may write. */
  readonly newest: number
}

/**
 * Whether a transaction may be committed: it has to begin at the newest commit.
 *
 * In LMDB whoever opens a file sets where transactions begin to the newest commit that it read before, even
 * where a later one was made meanwhile by another process (ITS#9496; the library of lmdb 3.5.6 has it). A writer
 * that begins at an older commit takes a later one back, and writes over pages that belong to it.
 */
export function beginsAtNewest({ transaction, newest }: BeginsAtNewestInput): boolean {
  return transaction === newest + 1
}
