import type { BatchConfig } from './batcher.ts'
import type { WatchCursor } from './cursor.ts'
import type { KvUpdate } from './entry.ts'
import { KvError } from './errors.ts'
import type { WatchScope } from './scope.ts'
import type { KvWatcher } from './source.ts'
import type { SnapshotStore } from './store.ts'

/**
 * Which part of a fold's life a batch belongs to: everything that existed before the first `caughtUp`
 * of an empty fold, the updates after that, or a rebuild that readers do not see yet.
 */
export type ApplyPhase = 'initial' | 'live' | 'resync'

export interface ApplyContext {
  /** What the store will hold once this batch is committed. */
  readonly cursor: WatchCursor
  readonly phase: ApplyPhase
  readonly signal: AbortSignal
}

/** What the bare loop and `follow` have in common. */
export interface ApplyOptionsOf<T = KvUpdate> {
  /** @default 'all' */
  readonly scope?: WatchScope
  /** undefined keeps the update from `apply`; the store still gets it and the cursor passes it. */
  readonly parse?: (update: KvUpdate) => T | undefined
  /** May be async. Throwing or rejecting makes it be called again with the same batch, within `retryBudgetMs`. */
  readonly apply?: (batch: readonly T[], context: ApplyContext) => void | Promise<void>
  /** Only for what the store holds. */
  readonly onApplied?: (cursor: WatchCursor) => void
  readonly batch?: BatchConfig
  /** How long a failing `apply` or commit is retried. @default 30_000 */
  readonly retryBudgetMs?: number
  /** Whether an empty value is a removal or a value. @default 'tombstone' */
  readonly emptyValues?: 'tombstone' | 'keep'
}

export interface WatchAppliedOptions<T = KvUpdate> extends ApplyOptionsOf<T> {
  readonly watcher: KvWatcher
  /** Where to resume. With a store it must equal `store.cursor`, which is also the default. */
  readonly after?: WatchCursor
  readonly store?: SnapshotStore
  readonly signal: AbortSignal
}

/**
 * One watch, one end: resolves on abort with the applied cursor, rejects with KvError or
 * SnapshotError, both carrying `cursor`.
 */
export function watchApplied<T = KvUpdate>(options: WatchAppliedOptions<T>): Promise<WatchCursor> {
  return Promise.reject(new KvError('Unsupported', `watching ${String(options.scope)} is not possible`))
}
