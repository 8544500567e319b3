import type { FoldReader, KvEntry, ListedKey, RangeOptions } from '@slip/kv-core'

/** The synchronous reads of a fold, without the cursor, which the owner of the fold keeps. */
export type FoldReads = Omit<FoldReader, 'cursor'>

export interface MemoryFoldOptions {
  /** Whether the names of removed keys are kept, with their versions: what the count audit needs. */
  readonly keepDeleted: boolean
  /** Size of a retained piece of memory, a power of two from 4 KiB to 1 GiB. @default 16 MiB */
  readonly segmentBytes?: number
}

/**
 * Walks records without allocating: `bytes[start, end)` is one record after each `next()` that
 * returned true. What was put after the walk was opened is not seen. Close it, unless it was walked
 * to its end.
 */
export interface RecordWalk {
  readonly bytes: Buffer
  readonly start: number
  readonly end: number
  next(): boolean
  close(): void
}

/** A fold as it was at one moment. Reads after `close` throw SnapshotError `ViewExpired`. */
export interface FoldImage extends FoldReads {
  readonly entriesCount: number
  readonly deletedCount: number
  deletedKeys(prefix?: string): IterableIterator<ListedKey>
  /** See `MemoryFold.liveRecords`. */
  liveRecords(): RecordWalk
  /** See `MemoryFold.orderedRecords`. */
  orderedRecords(): RecordWalk
  close(): void
}

/** A fold in memory: records in retained segments, found through a flat hash index. */
export class MemoryFold implements FoldReads {
  constructor(_options: MemoryFoldOptions) {}

  /** Live keys. */
  get entriesCount(): number {
    throw new Error('not yet')
  }
  /** Removed keys whose names are kept; 0 without `keepDeleted`. */
  get deletedCount(): number {
    throw new Error('not yet')
  }
  /** Record bytes of live keys and kept removals: what a compacted log holds. */
  get liveBytes(): number {
    throw new Error('not yet')
  }
  /** Bytes used in segments, garbage included. */
  get arenaBytes(): number {
    throw new Error('not yet')
  }
  /** Whether `maintain` has something to do. */
  get maintenanceDue(): boolean {
    throw new Error('not yet')
  }

  /** Takes over one valid record (a copy of its bytes), a put or a removal. */
  putRecord(_source: Uint8Array, _at: number, _length: number): void {
    throw new Error('not yet')
  }
  /** Takes over the valid records that lie end to end in `source[from, to)`, in order: one copy for many. */
  putRecords(_source: Uint8Array, _from: number, _to: number): void {
    throw new Error('not yet')
  }
  clear(): void {
    throw new Error('not yet')
  }

  get(_key: string): KvEntry | undefined {
    throw new Error('not yet')
  }
  getMany(_keys: readonly string[]): (KvEntry | undefined)[] {
    throw new Error('not yet')
  }
  has(_key: string): boolean {
    throw new Error('not yet')
  }
  range(_prefix: string, _options?: RangeOptions): KvEntry[] {
    throw new Error('not yet')
  }
  entries(_prefix?: string, _options?: RangeOptions): IterableIterator<KvEntry> {
    throw new Error('not yet')
  }
  keys(_prefix?: string, _options?: RangeOptions): IterableIterator<string> {
    throw new Error('not yet')
  }
  deletedKeys(_prefix?: string): IterableIterator<ListedKey> {
    throw new Error('not yet')
  }

  /** Pins the fold as it is. Costs nothing until a pinned key changes. */
  view(): FoldImage {
    throw new Error('not yet')
  }
  /** One cut of every live key and kept removal, about in the order of arrival: what compaction writes. */
  liveRecords(): RecordWalk {
    throw new Error('not yet')
  }
  /** One cut of the live keys alone, in key-byte order. Await `buildOrder()` first. */
  orderedRecords(): RecordWalk {
    throw new Error('not yet')
  }

  /** Works off garbage and ordering for about `budgetMs`; true when there is more to do. */
  maintain(_budgetMs: number): boolean {
    throw new Error('not yet')
  }
  /** Completes the key order in slices of a few milliseconds, so that range reads never pay for it. */
  async buildOrder(_signal?: AbortSignal): Promise<void> {
    throw new Error('not yet')
  }
}
