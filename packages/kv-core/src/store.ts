import type { WatchCursor } from './cursor.ts'
import type { KvEntry, KvUpdate } from './entry.ts'
import type { SnapshotError } from './errors.ts'
import type { FoldUpdates, PayloadFile, PayloadFormat, ReceiveOptions } from './payload.ts'
import type { ListedKey, WaitOptions } from './source.ts'

/** The most an opaque lineage may hold. */
export const MAX_LINEAGE_BYTES: number = 16 * 1024

/** Bounds inside the prefix, by key bytes; `reverse` starts from the end. */
export interface RangeOptions {
  readonly gte?: string
  readonly gt?: string
  readonly lt?: string
  readonly lte?: string
  readonly reverse?: boolean
  readonly limit?: number
}

/** Synchronous reads of a fold. Values are copies or immutable views: writing to one changes nothing else. */
export interface FoldReader {
  get(key: string): KvEntry | undefined
  getMany(keys: readonly string[]): (KvEntry | undefined)[]
  has(key: string): boolean
  /** Buffered, in key-byte order. */
  range(prefix: string, options?: RangeOptions): KvEntry[]
  /**
   * Lazy, in key-byte order, one cut. A store without `views` throws SnapshotError `StoreChanged` if
   * a commit comes between two steps.
   */
  entries(prefix?: string, options?: RangeOptions): IterableIterator<KvEntry>
  keys(prefix?: string, options?: RangeOptions): IterableIterator<string>
  readonly cursor: WatchCursor
}

/** A read-only image pinned at one cursor. After its deadline or `close` reads throw SnapshotError `ViewExpired`. */
export interface SnapshotView extends FoldReader, Disposable {
  /** Names whose last update was a removal, in key-byte order; where it is absent a view does not know them. */
  deletedKeys?(prefix?: string): IterableIterator<ListedKey>
  close(): void
}

export interface StoreFeatures {
  readonly views: boolean
  readonly lineage: boolean
  readonly deletedKeys: boolean
  readonly staging: boolean
  readonly durable: boolean
  readonly multiProcessReaders: boolean
  readonly maxKeyBytes: number
  readonly maxValueBytes: number
}

/** What one apply commits besides the entries. */
export interface ApplyOptions {
  /** Opaque to stores: at most 16 KiB, kept with the cursor, given back by `lineage`. Absent keeps the stored one. */
  readonly lineage?: Uint8Array
}

/**
 * What keeps a fold durably. The writer calls `apply`, `sync`, `stage`, `copyTo` and `close` one at a
 * time; reads may come at any moment and see the last committed apply.
 */
export interface SnapshotStore extends FoldReader, AsyncDisposable {
  readonly features: StoreFeatures
  /** What the last successful sync covers; never ahead of `cursor`. */
  readonly durableCursor: WatchCursor
  readonly lineage: Uint8Array | undefined
  /** What opening had to repair; undefined when nothing. */
  readonly recovery: Recovery | undefined
  readonly stats: StoreStats
  /**
   * Entries, deletions, cursor and lineage in one atomic commit. Calls do not overlap. After a
   * rejection nothing changed and the handle is done: reopen. An empty batch commits the cursor.
   *
   * A key or value above the store's limits rejects with SnapshotError `LimitExceeded` before
   * anything is written; the handle stays usable.
   */
  apply(batch: readonly KvUpdate[], cursor: WatchCursor, options?: ApplyOptions): Promise<void>
  /** Makes what was applied durable against power loss; resolves with the durable cursor. */
  sync(): Promise<WatchCursor>
  view?(options?: { readonly deadlineMs?: number }): SnapshotView
  /** Names whose last update was a removal (feature `deletedKeys`), in key-byte order. */
  deletedKeys?(prefix?: string): IterableIterator<ListedKey>
  /**
   * Writes a copy of the fold at one cursor as files of a layout of `payload`, durable when it resolves,
   * to a directory that is made or empty. Reads go on.
   */
  copyTo?(
    directory: string,
    options?: CopyOptions,
  ): Promise<{ readonly cursor: WatchCursor; readonly files: readonly string[] }>
  /** How what `copyTo` writes is read; without it a copy cannot become an artifact. */
  readonly payload?: PayloadFormat
  /** A second fold beside this one, invisible until `commit` swaps it in (feature `staging`). */
  stage?(options?: WaitOptions): Promise<StagedFold>
  /**
   * Calls `listener` once, at once or later, when damage is found in this fold while it is open: then the handle
   * is done, and who opens the fold again meets the damage. Returns how to stop listening.
   */
  whenDamaged?(listener: (damage: SnapshotError) => void): () => void
  /** Syncs unless the handle is done, and lets go of the lock. Idempotent. */
  close(): Promise<void>
}

export interface CopyOptions extends WaitOptions {
  /** Called once, when `apply` may be called again. What was copied, the cursor of the copy says. */
  readonly onPinned?: (() => void) | undefined
}

export interface StagedFold {
  apply(batch: readonly KvUpdate[], cursor: WatchCursor, options?: ApplyOptions): Promise<void>
  /** Whether the staged fold holds this key: what a rebuild needs to tell which keys vanished. */
  has(key: string): boolean
  /**
   * The live keys of the staged fold, lazily and in any order; none once it has taken the place of the old one,
   * also where `commit` rejected after that. Until `discard` they can be read after `apply` or `commit` rejected;
   * a batch that was rejected may be part of them or not.
   */
  keys(): IterableIterator<string>
  /** Atomic, durable, also across a crash: the fold is the old one or the new one. */
  commit(): Promise<void>
  discard(): Promise<void>
}

export interface StoreStats {
  readonly entries: number
  readonly deletedKeys: number
  /** On disk. */
  readonly bytes: number
}

/** `torn`: an unfinished last write was cut. `corrupt`: the damaged fold was moved to `movedTo`. */
export interface Recovery {
  readonly verdict: 'torn' | 'corrupt'
  /** Byte offset of the cut, or of the damage. */
  readonly at: number
  /** How many bytes were cut, or moved aside. */
  readonly bytes: number
  readonly movedTo?: string
}

/** Where a fold is and how to open it: `follow` and `importSnapshot` must reopen, set aside and replace it. */
export interface SnapshotLocation<S extends SnapshotStore = SnapshotStore> {
  readonly backend: string
  open(options?: WaitOptions): Promise<S>
  exists(): Promise<boolean>
  /** Keeps the damaged fold under another name and says which: the path of a file or a directory. */
  setAside?(): Promise<string>
  /**
   * Where another fold of the same kind can be for a while, next to this one. `purpose` is a word of `a` to `z`; the
   * same place for the same word, which one writer of this fold uses at a time.
   */
  beside?(purpose: string): SnapshotLocation<S>
  /** Removes the fold and all that belongs to it; nothing where there is none. SnapshotError `Busy`, `Io`. */
  remove?(): Promise<void>
  /** Opens a verified payload as a new fold; fails when one exists. */
  adopt?(payloadDirectory: string, options?: WaitOptions): Promise<void>
  /** What `adopt` and `receive` take. */
  readonly payload?: PayloadFormat
  /**
   * Makes a new fold of the files of one layout of `payload`. They are written to a place nobody looks
   * at, read back whole only when the last byte came, shown to `admit`, and then given the fold's name in one
   * step: after a failure, an abort or a crash there is no fold. SnapshotError `AlreadyExists` when there
   * is one, `Busy`, `InvalidFormat`, `Corrupted`, `Io`.
   */
  receive?(files: readonly PayloadFile[], options?: ReceiveOptions): Promise<void>
  /** Makes a new fold of updates, as `receive` does of files. Also SnapshotError `LimitExceeded`. */
  create?(fold: FoldUpdates, options?: WaitOptions): Promise<void>
}
