import type {
  FoldReader,
  ListedKey,
  PayloadFormat,
  Recovery,
  SnapshotLocation,
  SnapshotStore,
  StoreStats,
  WatchCursor,
} from '@slip/kv-core'
import type { FoldAddress } from './fold-address.ts'

/** A fold at one committed cursor, read without the writer's lock. */
export interface OpenedFold extends FoldReader {
  readonly generation: number
  readonly lineage: Uint8Array | undefined
  readonly stats: StoreStats
  /** The unfinished last write that is left out. */
  readonly recovery: Recovery | undefined
  /** Who has the fold open for writing. */
  readonly holder: { readonly pid: number; readonly host: string } | undefined
  deletedKeys(): Iterable<ListedKey>
  /**
   * Makes sure of what is about to be read, where opening does not read all of it. SnapshotError
   * `Corrupted`.
   */
  check?(): Promise<unknown>
  /** As a store: the raw material of an artifact. */
  readonly copyTo?: NonNullable<SnapshotStore['copyTo']>
  readonly payload?: PayloadFormat
  /** Where commits leave pages that later ones use again. */
  usage?(): Promise<FoldUsage>
  close(): Promise<void>
}

/** How the file of a fold in LMDB is used. */
export interface FoldUsage {
  /** Of the file: what later commits use again once no reader sees it. */
  readonly freeBytes: number
  readonly mapBytes: number
  readonly maxReaders: number
  /** Read transactions of other processes than this one. */
  readonly readers: number
  /** The one of them that keeps the most from being used again, and how many commits ago it began. */
  readonly oldestReader: { readonly pid: number; readonly behind: number } | null
}

/** What all of a fold's bytes say. */
export interface FoldVerdict {
  readonly verdict: 'intact' | 'torn' | 'corrupt' | 'foreign' | 'missing'
  readonly at?: number | undefined
  readonly bytes?: number | undefined
  readonly generation?: number
  readonly entries?: number
  readonly cursor?: WatchCursor
}

/** How a follower wants its fold. */
export interface PlaceOptions {
  readonly path: string
  /** Without it the default of the store. */
  readonly durability: 'os' | 'batch' | { readonly intervalMs: number } | undefined
  /** Generation to create; of logs only. */
  readonly format: 2 | 3 | undefined
  readonly waitLockMs: number | undefined
}

/** What a command needs to know of a kind of fold. */
export interface FoldBackend {
  readonly name: 'append-log' | 'lmdb'
  open(path: string): Promise<OpenedFold>
  verify(path: string): Promise<FoldVerdict>
  place(options: PlaceOptions): SnapshotLocation
  /** Rewrites the fold without garbage. SnapshotError `Busy`. */
  compact(
    path: string,
    options: { readonly waitLockMs: number | undefined },
  ): Promise<{ readonly before: number; readonly after: number; readonly recovery: Recovery | undefined }>
  /** A new fold of this kind with the state of another one. SnapshotError `AlreadyExists`. */
  write(
    path: string,
    source: OpenedFold,
    format: 2 | 3,
  ): Promise<{ readonly entries: number; readonly bytes: number }>
}

/** LMDB is loaded only by those who name a fold of it. */
export async function backendOf({ backend }: Pick<FoldAddress, 'backend'>): Promise<FoldBackend> {
  return backend === 'log' ? (await import('./log-backend.ts')).LOG : (await import('./lmdb-backend.ts')).LMDB
}
