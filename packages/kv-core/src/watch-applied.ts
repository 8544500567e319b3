import { Flusher, type FlushOutcome } from './apply/flusher.ts'
import { withLinkedSignal } from './apply/linked-signal.ts'
import { runSession, type SessionEnd } from './apply/session-loop.ts'
import { batchLimits, type BatchConfig } from './batcher.ts'
import { WatchCursor } from './cursor.ts'
import type { KvUpdate } from './entry.ts'
import { asSnapshotError, KvError, messageOf, SnapshotError } from './errors.ts'
import { scopePrefixes, type WatchScope } from './scope.ts'
import type { KvWatcher } from './source.ts'
import type { SnapshotStore } from './store.ts'

/**
 * Which part of a fold's life a batch belongs to: everything that existed before the first `caughtUp`
 * of an empty fold, the updates after that, or a rebuild that readers do not see yet. What a rebuild gave is
 * deleted again when it is given up while the process lives. What a repair or a rebuild has from an artifact comes in the order
 * of its keys, each once, and everything else in the order of revisions.
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
 *
 * After a rejection by `store.apply` the handle is done; open the store again and resume from its
 * cursor. A revision delivered twice ends the watch with KvError `BucketRolledBack`. `TypeError` when
 * `after` is not the store's cursor.
 */
export async function watchApplied<T = KvUpdate>(options: WatchAppliedOptions<T>): Promise<WatchCursor> {
  const { watcher, store, scope = 'all', signal, onApplied } = options
  const after = options.after ?? store?.cursor ?? WatchCursor.none
  if (store !== undefined && !after.equals(store.cursor))
    throw new TypeError(`after is ${after.toHex()}, but the store's cursor is ${store.cursor.toHex()}`)
  scopePrefixes(scope)
  const limits = batchLimits(options.batch)
  const flusher = new Flusher(options, signal)
  let applied = after
  let phase: ApplyPhase = after.isNone ? 'initial' : 'live'
  if (signal.aborted) return applied

  const flush = async (
    updates: readonly KvUpdate[],
    _bytes: number,
    cursor: WatchCursor,
  ): Promise<FlushOutcome> => {
    const outcome = await flusher.flush({
      updates,
      cursor,
      phase,
      standing: applied,
      commit: async () => store?.apply(updates, cursor),
    })
    if (outcome !== 'committed' || cursor === applied) return outcome
    applied = cursor
    try {
      onApplied?.(cursor)
    } catch (cause) {
      throw new KvError('ApplyFailed', 'onApplied threw', { cause, cursor })
    }
    return outcome
  }
  const end = await withLinkedSignal(signal, (sessionSignal) =>
    runSession({
      open: () =>
        watcher.watch(scope, {
          ...(after.isNone ? {} : { after }),
          signal: sessionSignal,
          emptyValues: options.emptyValues,
        }),
      limits,
      from: after,
      suspect: false,
      signal,
      flush,
      onCaughtUp: async () => {
        phase = 'live'
        return 'committed'
      },
    }),
  )
  if (end.why === 'aborted' || signal.aborted) return applied
  throw endError(end, applied)
}

function endError(end: Exclude<SessionEnd, { why: 'aborted' }>, cursor: WatchCursor): Error {
  if (end.why === 'reattach' || end.why === 'rebuild')
    return new KvError('BucketRolledBack', `revision ${end.revision} was delivered, but is already applied`, {
      cursor,
    })
  const cause = end.why === 'source' ? end.error : undefined
  if (cause === undefined) return new KvError('Closed', 'the source ended its watch', { cursor })
  const message = messageOf(cause)
  if (SnapshotError.is(cause)) return asSnapshotError(cause, cause.code, message, cursor)
  return new KvError(KvError.is(cause) ? cause.code : 'Unreachable', message, { cause, cursor })
}
