import type { FlushOutcome } from '../apply/flusher.ts'
import type { WatchCursor } from '../cursor.ts'
import type { KvUpdate } from '../entry.ts'
import { KvError } from '../errors.ts'
import { protocol } from '../protocol/protocol.ts'
import type { SnapshotStore } from '../store.ts'
import type { ApplyPhase } from '../watch-applied.ts'
import type { BoundLineage } from './bound-lineage.ts'
import type { CommitObserver } from './commit-observer.ts'
import type { FoldParts } from './fold-parts.ts'
import { LineageWriter } from './lineage-writer.ts'

/** What a batch belongs to, and what it makes of the fold. */
export interface FlushedAs {
  readonly phase: ApplyPhase
  /** Whether the fold is then a state that the bucket was in; as it was unless given. */
  readonly settled?: boolean
}

/** Commits batches to the fold in use, and tells counts, readers and waiters afterwards. */
export class FoldWriter<S extends SnapshotStore, T> {
  readonly #parts: FoldParts<S, T>
  /** What goes with a commit beside its updates. */
  readonly lineage: LineageWriter
  readonly #observers = new Set<CommitObserver>()
  #failingSinceMs: number | undefined

  constructor(parts: FoldParts<S, T>) {
    this.#parts = parts
    this.lineage = new LineageWriter(parts.oversize)
  }

  /** What commits belong to from here on. */
  bind(bound: BoundLineage): void {
    this.lineage.bind(bound, this.#parts.keeper.store.features.lineage)
  }

  /** Since when commits fail; undefined while they succeed. */
  get failingSinceMs(): number | undefined {
    return this.#failingSinceMs
  }

  /** Whether the fold in use lacks something of its lineage. */
  get bindingDue(): boolean {
    const { store } = this.#parts.keeper
    return this.lineage.isDue(store.lineage, store.cursor)
  }

  /** Leaves the whole lineage with the fold in use, at its end; without an attempt where commits fail. */
  settle(): Promise<void> {
    const { gate, keeper } = this.#parts
    return gate.run(async () => {
      if (!keeper.isOpen || this.#failingSinceMs !== undefined) return
      if (!this.lineage.abridged && !this.bindingDue) return
      const { store } = keeper
      try {
        const options = this.lineage.optionsFor(store, () => store.lineage, [])
        await store.apply([], this.lineage.cursorOf(store.cursor), options)
      } catch {
        // The handle is done, and its close says so to whoever ends the follower.
      }
    })
  }

  flush(
    updates: readonly KvUpdate[],
    bytes: number,
    cursor: WatchCursor,
    as: FlushedAs,
  ): Promise<FlushOutcome> {
    return this.#parts.gate.run(() => this.#flush(updates, bytes, cursor, as))
  }

  /** From the next commit on, until the returned function is called. To be called between two flushes. */
  observe(observer: CommitObserver): () => void {
    this.#observers.add(observer)
    return () => void this.#observers.delete(observer)
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

  async #flush(
    updates: readonly KvUpdate[],
    bytes: number,
    position: WatchCursor,
    { phase, settled }: FlushedAs,
  ): Promise<FlushOutcome> {
    const cursor = this.lineage.cursorOf(position, updates.at(-1))
    const { keeper, flusher, board, feed, oversize } = this.#parts
    const before = keeper.figures.cursor
    let kept = updates
    let seen: readonly (() => void)[] = []
    const outcome = await flusher.flush({
      updates,
      cursor,
      phase,
      standing: before,
      failingSinceMs: this.#failingSinceMs,
      commit: async () => {
        const { store } = keeper
        kept = oversize.admit(updates, store.features)
        seen = Array.from(this.#observers, (observer) => observer.survey(kept, store))
        await store.apply(
          kept,
          cursor,
          this.lineage.optionsFor(store, () => store.lineage, updates, settled),
        )
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
    for (const settle of seen) settle()
    feed.publish(kept, phase)
    this.committed(cursor, !cursor.token.equals(before.token))
    return outcome
  }
}
