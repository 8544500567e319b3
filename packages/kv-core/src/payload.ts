import type { WatchCursor } from './cursor.ts'
import type { KvUpdate } from './entry.ts'
import type { WaitOptions } from './source.ts'

/** What a copy of a fold turned out to hold. */
export interface FoldFacts {
  readonly cursor: WatchCursor
  readonly lineage: Uint8Array | undefined
  readonly entries: number
}

/** One file of a copy. Its bytes are given once, from the first on. */
export interface PayloadFile {
  /** One of the names its format lists: never text that somebody sent. */
  readonly name: string
  readonly size: number
  /** Throws at the latest where the bytes end when they are not those that were promised. */
  read(): AsyncIterable<Uint8Array>
}

export interface ReceiveOptions extends WaitOptions {
  /** Sees what the copy holds before it becomes a fold; what it throws keeps it from becoming one. */
  readonly admit?: ((facts: FoldFacts) => void) | undefined
}

/** Takes updates in order; the next ones come when it has resolved. */
export type TakeUpdates = (updates: readonly KvUpdate[]) => Promise<void>

/** A whole fold as the updates that make it. Of a key that comes twice the last one counts. */
export interface FoldUpdates {
  readonly cursor: WatchCursor
  readonly lineage: Uint8Array | undefined
  read(take: TakeUpdates): Promise<void>
}

/**
 * The files that one store's `copyTo` writes: what artifacts carry. Reading never needs the store, and
 * never changes a file. Memory does not grow with the fold.
 */
export interface PayloadFormat {
  /** `append-log`, `lmdb`. */
  readonly backend: string
  /** Each layout that can be read, by its version, with the names of all files it consists of. */
  readonly layouts: Readonly<Record<string, readonly string[]>>
  /** Reads every byte of the copy in `directory`. SnapshotError `InvalidFormat`, `Corrupted`, `Io`. */
  check(directory: string, version: string, options?: WaitOptions): Promise<FoldFacts>
  /** Gives what a copy that was checked holds: its entries, and its deleted keys as deletes. */
  updates(directory: string, version: string, take: TakeUpdates, options?: WaitOptions): Promise<void>
}
