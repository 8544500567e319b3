import type { FlushOutcome } from '../apply/flusher.ts'
import type { WatchCursor } from '../cursor.ts'
import type { KvUpdate } from '../entry.ts'
import { KvError } from '../errors.ts'
import { encodeLineage, type Lineage } from '../lineage.ts'
import { protocol } from '../protocol/protocol.ts'
import type { ApplyOptions, SnapshotStore } from '../store.ts'
import type { ApplyPhase } from '../watch-applied.ts'
import type { FoldParts } from './fold-parts.ts'

/** Commits batches to the fold in use, and tells counts, readers and waiters afterwards. */
export class FoldWriter<S extends SnapshotStore, T> {
  readonly #parts: FoldParts<S, T>
  #failingSinceMs: number | undefined
  #bound: Lineage | undefined
  #encoded: { readonly bytes: Uint8Array; readonly version: number } | undefined

  constructor(parts: FoldParts<S, T>) {
    this.#parts = parts
  }

  /** What the next commit binds the fold to, unless it is bound to it already; undefined where the store keeps none. */
  bind(lineage: Lineage | undefined): void {
    this.#bound = lineage
    this.#encoded = undefined
  }

  /** Since when commits fail; undefined while they succeed. */
  get failingSinceMs(): number | undefined {
    return this.#failingSinceMs
  }

  get bindingDue(): boolean {
    return this.lineageFor(this.#parts.keeper.store.lineage) !== undefined
  }

  /** The options of a commit to a fold that keeps `stored`: to be asked when the batch was admitted. */
  lineageFor(stored: Uint8Array | undefined): ApplyOptions | undefined {
    const lineage = this.#lineageBytes()
    if (lineage === undefined || (stored !== undefined && Buffer.compare(stored, lineage) === 0))
      return undefined
    return { lineage }
  }

  flush(
    updates: readonly KvUpdate[],
    bytes: number,
    cursor: WatchCursor,
    phase: ApplyPhase,
  ): Promise<FlushOutcome> {
    return this.#parts.gate.run(() => this.#flush(updates, bytes, cursor, phase))
  }

  /** Opens the fold again after a failure. */
  async reopen(signal: AbortSignal): Promise<void> {
    this.#failingSinceMs ??= performance.now()
    await this.#parts.keeper.reopen(signal)
    this.#parts.board.recovery = this.#parts.keeper.recovery
  }

  /** The fold in use holds everything up to `cursor`. */
  committed(cursor: WatchCursor, moved: boolean): void {
    const { board, onApplied, waiters } = this.#parts
    this.#failingSinceMs = undefined
    try {
      if (moved) onApplied?.(cursor)
    } catch (cause) {
      throw new KvError('ApplyFailed', 'onApplied threw', { cause, cursor })
    }
    board.dispatch({ type: 'released' })
    if (waiters.size > 0) waiters.poll()
  }

  #lineageBytes(): Uint8Array | undefined {
    const { names, version } = this.#parts.oversize
    if (this.#bound === undefined) return undefined
    if (this.#encoded?.version !== version) {
      const skipped = names === undefined ? {} : { skipped: names }
      this.#encoded = { version, bytes: encodeLineage({ ...this.#bound, ...skipped }) }
    }
    return this.#encoded.bytes
  }

  async #flush(
    updates: readonly KvUpdate[],
    bytes: number,
    cursor: WatchCursor,
    phase: ApplyPhase,
  ): Promise<FlushOutcome> {
    const { keeper, flusher, board, feed, oversize } = this.#parts
    const before = keeper.figures.cursor
    let kept = updates
    const outcome = await flusher.flush({
      updates,
      cursor,
      phase,
      standing: before,
      failingSinceMs: this.#failingSinceMs,
      commit: async () => {
        const { store } = keeper
        kept = oversize.admit(updates, store.features)
        await store.apply(kept, cursor, this.lineageFor(store.lineage))
      },
      reopen: async (signal) => {
        await this.reopen(signal)
        return protocol.afterReopen({ found: keeper.store.cursor, before, attempted: cursor })
      },
    })
    if (outcome !== 'committed') return outcome
    board.applied += updates.length
    board.delivered += updates.length
    board.deliveredBytes += bytes
    board.skipped = oversize.skipped
    feed.publish(kept, phase)
    this.committed(cursor, !cursor.token.equals(before.token))
    return outcome
  }
}
