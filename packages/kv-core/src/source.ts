import type { WatchCursor } from './cursor.ts'
import type { KvEntry, KvUpdate } from './entry.ts'
import type { KvError } from './errors.ts'
import type { WatchScope } from './scope.ts'
import type { VersionToken } from './token.ts'

export interface WaitOptions {
  readonly signal?: AbortSignal | undefined
  readonly timeoutMs?: number | undefined
}

/** A way to reach buckets. */
export interface Connection extends AsyncDisposable {
  /** Whether the last proof of life is recent; never optimistic. */
  readonly healthy: boolean
  readonly capabilities: ConnectionCapabilities
  /**
   * Opens a bucket; creates it when `config` is given. Settings of an existing bucket that differ
   * are listed in `KvStore.drift`, never applied. KvError `BucketNotFound`, `Unreachable`,
   * `Unauthorized`, `PermissionDenied`, `Timeout`.
   */
  store(name: string, config?: StoreConfig, options?: WaitOptions): Promise<KvStore>
  close(): Promise<void>
}

export interface ConnectionCapabilities {
  readonly watch: boolean
  readonly prefixWatch: boolean
  readonly ttl: boolean
  readonly purge: boolean
  readonly compareAndSwap: boolean
  readonly transactions: boolean
  readonly globalOrdering: boolean
  readonly maxValueBytes?: number
}

export type StorageType = 'file' | 'memory'

/** Bucket settings; what is left out is the server's default, and no size limit. */
export interface StoreConfig {
  /** Revisions kept of a key, 1 to 64. @default 1 */
  readonly history?: number
  readonly maxAgeMs?: number
  readonly maxBytes?: number
  readonly maxValueBytes?: number
  readonly storage?: StorageType
  readonly replicas?: number
  /** What a full bucket does: refuse the write, or evict the oldest. @default 'new' */
  readonly discard?: 'new' | 'old'
  /** How long the marker of an expired key stays; also switches per-key TTL on (server 2.11). */
  readonly markerTtlMs?: number
}

/** A named bucket. What a source cannot do is absent. */
export interface KvStore {
  readonly name: string
  readonly reader: KvReader
  readonly watcher?: KvWatcher
  readonly writer?: KvWriter
  readonly ttl?: KvTtl
  readonly purger?: KvPurge
  readonly drift?: readonly SettingDrift[]
  close?(): Promise<void>
}

export interface SettingDrift {
  readonly setting: string
  readonly wanted: unknown
  readonly found: unknown
}

/** A streamed listing. It can be iterated once. */
export interface Listing<T> extends AsyncIterable<T> {
  /** Complete at this revision; settles when iteration ends. */
  readonly validAt: Promise<WatchCursor>
}

export interface ListedKey {
  readonly key: string
  readonly version: VersionToken
}

export interface KvReader {
  /** The live value; an empty value counts as absent. */
  get(key: string, options?: WaitOptions): Promise<KvEntry | undefined>
  /** Also an empty-valued entry; delete markers are undefined. Read at the leader. */
  entry(key: string, options?: WaitOptions): Promise<KvEntry | undefined>
  /**
   * Live keys under a byte prefix. Keys that are not written while it goes on come in the order of their
   * last writes; one that is may come at its old revision, its new one, both, or not.
   */
  keys(prefix?: string, options?: WaitOptions): Listing<ListedKey>
  /** Live entries under a byte prefix. */
  scan(prefix?: string, options?: WaitOptions): Listing<KvEntry>
}

/** Writes. KvError `InvalidKey`, `ValueTooLarge`, `QuotaExceeded`, `Timeout`, `OutcomeUnknown`, `PermissionDenied`. */
export interface KvWriter {
  put(key: string, value: Uint8Array | string, options?: WaitOptions): Promise<VersionToken>
  /** Only when the key is absent, deleted or expired; KvError `AlreadyExists` otherwise. */
  create(key: string, value: Uint8Array | string, options?: WaitOptions): Promise<VersionToken>
  /** Only when the key is at `expected`; KvError `RevisionMismatch` otherwise. */
  update(
    key: string,
    value: Uint8Array | string,
    expected: VersionToken,
    options?: WaitOptions,
  ): Promise<VersionToken>
  delete(key: string, options?: WaitOptions): Promise<VersionToken>
  /** Compare-and-swap of an empty value: a tombstone. */
  deleteWithVersion(key: string, expected: VersionToken, options?: WaitOptions): Promise<VersionToken>
  /** Pipelined; one outcome for each operation, in order. */
  bulk(
    operations: Iterable<BulkOperation> | AsyncIterable<BulkOperation>,
    options?: WaitOptions & { readonly window?: number },
  ): AsyncIterable<BulkOutcome>
}

export type BulkOperation =
  | { readonly operation: 'put' | 'create'; readonly key: string; readonly value: Uint8Array | string }
  | { readonly operation: 'delete'; readonly key: string }

export type BulkOutcome =
  | { readonly key: string; readonly version: VersionToken }
  | { readonly key: string; readonly error: KvError }

/** Writes that expire after `ttlMs`; KvError `Unsupported` where the bucket was made without it. */
export interface KvTtl {
  put(key: string, value: Uint8Array | string, ttlMs: number, options?: WaitOptions): Promise<VersionToken>
  create(key: string, value: Uint8Array | string, ttlMs: number, options?: WaitOptions): Promise<VersionToken>
  /** Only when the key is at `expected`; KvError `RevisionMismatch` otherwise. */
  update?(
    key: string,
    value: Uint8Array | string,
    expected: VersionToken,
    ttlMs: number,
    options?: WaitOptions,
  ): Promise<VersionToken>
}

export interface KvPurge {
  /** Removes the key and its history; followers see one purge. */
  purge(key: string, options?: WaitOptions): Promise<VersionToken>
}

export interface WatchBatch {
  readonly updates: readonly KvUpdate[]
  /** Nothing undelivered at or below: also advances a quiet scope. */
  readonly bookmark?: WatchCursor
  /**
   * True once for each watch, on the first batch after which everything that existed at its start
   * was delivered; also on an empty scope.
   */
  readonly caughtUp: boolean
  /**
   * Whether nothing in scope lay beyond this batch when it was sent. A fold that is left in between has to be
   * listed before it is trusted again, and so has one of a source that never says it.
   */
  readonly atEnd?: boolean
  /**
   * When the last of it came from the source, on the clock of `performance.now()`, where it may have waited to be
   * asked for: it is proof of life at that time. Absent: when it is yielded.
   */
  readonly receivedAtMs?: number | undefined
}

/**
 * The least a source must be. `describe` may leave out what it cannot say; the matching checks are
 * then off and `FollowStatus.unverified` names them.
 */
export interface KvWatcher {
  describe(scope: WatchScope, options?: WaitOptions): Promise<SourceDescription>
  /**
   * One session. It ends only by abort (rethrowing the signal's reason), by close of the source, or
   * by throwing KvError. The next batch is pulled only when the last was applied, so a slow reader
   * holds the source back. Each batch, an empty one included, is proof of life at its `receivedAtMs`:
   * a source that is well yields at least one every second.
   *
   * `after` must be a position `describe` allows: above `firstRevision - 1` or proven complete by
   * other means, and not above `lastRevision`. A cursor of 2^64-1 or without a u64 form is KvError
   * `CursorExpired`.
   */
  watch(scope: WatchScope, options: WatchOptions): AsyncIterable<WatchBatch>
  /** Absent where the source cannot look into what it stores; its updates then need no `writtenAtMs`. */
  readonly history?: KvHistory
}

/**
 * Looks into what a bucket stores, to tell its history from another one. Removals are messages like
 * writes. An answer is never older than what `describe` said before the question: a replica that may
 * lag must not be asked. KvError `PermissionDenied` or `Unsupported` where it may not be asked at all.
 */
export interface KvHistory {
  /** The message that is stored at a revision, whatever its key. */
  at(revision: bigint, options?: WaitOptions): Promise<StoredMessage | undefined>
  /** The newest stored message of a key. */
  newest(key: string, options?: WaitOptions): Promise<StoredMessage | undefined>
  /** The oldest stored message above `revision` whose key is in scope. */
  firstAfter(revision: bigint, scope: WatchScope, options?: WaitOptions): Promise<StoredMessage | undefined>
}

/** A message without its value. */
export interface StoredMessage {
  readonly key: string
  readonly revision: bigint
  /** As in the update that delivers it. */
  readonly writtenAtMs: number
}

export interface WatchOptions {
  readonly after?: WatchCursor | undefined
  readonly signal: AbortSignal
  /**
   * What a stored empty value is: a delete with reason `tombstone`, or a put of an empty value.
   * @default 'tombstone'
   */
  readonly emptyValues?: 'tombstone' | 'keep' | undefined
}

export interface SourceDescription {
  readonly kind: string
  readonly name: string
  /** What changes when the history starts again: for NATS the stream's creation time. */
  readonly incarnation?: string
  readonly firstRevision?: bigint
  readonly lastRevision?: bigint
  /** Keys in scope, deleted ones with a marker included, at `lastRevision`. */
  readonly keyCount?: bigint
  /**
   * Where writes went on while keys were counted: `keyCount` is of an instant between `lastRevision` and
   * this revision. Absent when it is of `lastRevision`.
   */
  readonly countedThrough?: bigint
  readonly evictsCurrentValues?: boolean
  /**
   * Of a bucket that evicts: whether the oldest message is always the first to go, so that `firstRevision`
   * tells whether anything went. Not where messages have times to live of their own.
   */
  readonly evictsOldestFirst?: boolean
  /**
   * The age in milliseconds at which messages leave, where nothing else makes a current value leave;
   * absent otherwise.
   */
  readonly evictsAfterMs?: number
  /** Revisions kept of one key; with more than one, equal counts prove keys and not values. */
  readonly historyPerKey?: number
  /** The source's clock when it answered, Unix milliseconds. */
  readonly serverTimeMs?: number
}
