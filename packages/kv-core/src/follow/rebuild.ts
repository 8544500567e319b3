import type { FlushOutcome } from '../apply/flusher.ts'
import { WatchCursor } from '../cursor.ts'
import type { KvUpdate } from '../entry.ts'
import type { RebuildReason } from '../protocol/attach.ts'
import type { SnapshotStore, StagedFold } from '../store.ts'
import { VersionToken } from '../token.ts'
import type { BoundLineage } from './bound-lineage.ts'
import type { FoldParts } from './fold-parts.ts'
import type { FoldWriter } from './fold-writer.ts'
import { handRemovals, takeBack } from './removals.ts'
import { stageInPlace } from './stage-in-place.ts'

/**
 * A second fold, hydrated from nothing while readers keep the first. `finish` gives `apply` the keys
 * that vanished, then swaps. A crash before the swap leaves the first fold as it was. One that is given
 * up takes back what it gave `apply`, as long as the process lives.
 *
 * A store that cannot stage is emptied first and hydrated in place.
 */
export class Rebuild<S extends SnapshotStore, T> {
  readonly reason: RebuildReason
  readonly bound: BoundLineage
  /** Whether the fold in use is the one that is hydrated. */
  readonly inPlace: boolean
  readonly #parts: FoldParts<S, T>
  readonly #writer: FoldWriter<S, T>
  readonly #staged: StagedFold
  #cursor: WatchCursor
  #lineage: Uint8Array | undefined
  #state: 'open' | 'swapped' | 'discarded' = 'open'

  private constructor(
    parts: FoldParts<S, T>,
    writer: FoldWriter<S, T>,
    staged: StagedFold,
    what: {
      readonly reason: RebuildReason
      readonly bound: BoundLineage
      readonly start: WatchCursor
      readonly inPlace: boolean
    },
  ) {
    this.#parts = parts
    this.#writer = writer
    this.#staged = staged
    this.reason = what.reason
    this.bound = what.bound
    this.inPlace = what.inPlace
    this.#cursor = what.start
  }

  /** `bound`: what the second fold belongs to. `undefined` when the caller ended first. */
  static async begin<S extends SnapshotStore, T>(
    parts: FoldParts<S, T>,
    writer: FoldWriter<S, T>,
    what: { readonly reason: RebuildReason; readonly bound: BoundLineage },
  ): Promise<Rebuild<S, T> | undefined> {
    const { keeper, flusher, oversize, gate } = parts
    flusher.forget()
    oversize.restore(undefined)
    const start = what.bound.binding.evictionSeen
      ? WatchCursor.fromToken(VersionToken.unknown, { evictionSeen: true })
      : WatchCursor.none
    let staged: StagedFold | undefined
    let inPlace = false
    await gate.run(() =>
      flusher.flush({
        updates: [],
        cursor: start,
        phase: 'resync',
        standing: keeper.figures.cursor,
        failingSinceMs: writer.failingSinceMs,
        commit: async () => {
          const { store } = keeper
          if (store.features.staging && store.stage !== undefined) staged = await store.stage()
          else {
            staged = await stageInPlace(parts, start)
            inPlace = true
          }
        },
        reopen: async (signal) => {
          await writer.reopen(signal)
          return 'commit'
        },
      }),
    )
    parts.board.dispatch({ type: 'released' })
    return staged === undefined ? undefined : new Rebuild(parts, writer, staged, { ...what, start, inPlace })
  }

  /** What the staged fold holds: a session that broke goes on from here. */
  get cursor(): WatchCursor {
    return this.#cursor
  }

  /** Only an `open` one can be gone on with. */
  get state(): 'open' | 'swapped' | 'discarded' {
    return this.#state
  }

  /** Of a batch in the order of its revisions, which `apply` is given and the staged fold takes. */
  flush(updates: readonly KvUpdate[], position: WatchCursor, settled: boolean): Promise<FlushOutcome> {
    const cursor = this.bound.cursorOf(position, updates.at(-1))
    return this.#take(updates, cursor, (kept) => this.#apply(kept, cursor, updates, settled))
  }

  /**
   * Of entries of an artifact, in the order of their keys. All of them are for the staged fold, and `changed` for
   * `apply`, which has the others from the fold in use. The position comes with a `flush` behind the last.
   */
  prime(entries: readonly KvUpdate[], changed: readonly KvUpdate[]): Promise<FlushOutcome> {
    const { keeper, oversize } = this.#parts
    return this.#take(changed, this.#cursor, () =>
      this.#staged.apply(oversize.admit(entries, keeper.store.features, 'artifact'), this.#cursor),
    )
  }

  #take(
    updates: readonly KvUpdate[],
    cursor: WatchCursor,
    commit: (kept: readonly KvUpdate[]) => Promise<void>,
  ): Promise<FlushOutcome> {
    const { keeper, flusher, board, feed, oversize, gate } = this.#parts
    return gate.run(async () => {
      let kept = updates
      const outcome = await flusher.flush({
        updates,
        cursor,
        phase: 'resync',
        standing: keeper.figures.cursor,
        failingSinceMs: this.#writer.failingSinceMs,
        commit: async () => {
          kept = oversize.admit(updates, keeper.store.features)
          await commit(kept)
        },
        reopen: (signal) => this.#startOver(signal, updates),
      })
      if (outcome !== 'committed') return outcome
      this.#cursor = cursor
      board.applied += updates.length
      board.relisted += updates.length
      board.skipped = oversize.skipped
      board.dispatch({ type: 'released' })
      feed.hold(kept, 'resync')
      return outcome
    })
  }

  /** Everything that existed was delivered: deletes what vanished, and swaps. */
  finish(): Promise<FlushOutcome> {
    const { keeper, flusher, feed, gate } = this.#parts
    return gate.run(async () => {
      const removed = await handRemovals(this.#parts, this.#cursor, (key) => this.#staged.has(key))
      if (removed !== 'committed') return removed
      const outcome = await flusher.flush({
        updates: [],
        cursor: this.#cursor,
        phase: 'resync',
        standing: keeper.figures.cursor,
        failingSinceMs: this.#writer.failingSinceMs,
        commit: async () => {
          await this.#apply([], this.#cursor, [], undefined)
          await this.#staged.commit()
        },
        reopen: (signal) => this.#afterSwap(signal),
      })
      if (outcome !== 'committed') return outcome
      this.#state = 'swapped'
      feed.release()
      this.#writer.committed(this.#cursor, true)
      return outcome
    })
  }

  /**
   * Tells `apply` which of the keys it was given are gone, and leaves the fold in use as it is. To be called
   * between two flushes, and before the fold is opened again: a rebuild has to follow. `abandoned` when the caller ended first.
   */
  async giveUp(): Promise<FlushOutcome> {
    const outcome = await this.#takeBack([])
    if (outcome === 'committed') await this.discard()
    return outcome
  }

  /** At the follower's end: leaves the fold in use as it is, and `apply` with what it was given. */
  async discard(): Promise<void> {
    this.#parts.feed.drop()
    await this.#discardStaged()
  }

  async #discardStaged(): Promise<void> {
    this.#state = 'discarded'
    this.#parts.flusher.forget()
    try {
      await this.#staged.discard()
    } catch {
      // What is left of it is invisible, and the store clears it when it is opened again.
    }
  }

  async #apply(
    kept: readonly KvUpdate[],
    cursor: WatchCursor,
    updates: readonly KvUpdate[],
    settled: boolean | undefined,
  ): Promise<void> {
    const options = this.#writer.lineage.optionsFor(this.#staged, () => this.#lineage, updates, settled)
    await this.#staged.apply(kept, cursor, options)
    this.#lineage = options?.lineage ?? this.#lineage
  }

  /** A fold that was hydrated in place is the fold in use: it lacks nothing that `apply` was given. */
  async #takeBack(inFlight: readonly KvUpdate[]): Promise<FlushOutcome> {
    if (this.#state !== 'open' || this.inPlace) return 'committed'
    return takeBack(this.#parts, this.#staged, inFlight)
  }

  /** The staged fold cannot be trusted after a failure, nor can the handle it came from. */
  async #startOver(signal: AbortSignal, inFlight: readonly KvUpdate[]): Promise<'restart'> {
    if ((await this.#takeBack(inFlight)) !== 'committed') signal.throwIfAborted()
    await this.discard()
    await this.#writer.reopen(signal)
    return 'restart'
  }

  /**
   * A swap that came to no answer may have gone through: then nothing is taken back, and its changes are those
   * of the fold that is found.
   */
  async #afterSwap(signal: AbortSignal): Promise<'restart'> {
    if ((await this.#takeBack([])) !== 'committed') signal.throwIfAborted()
    await this.#discardStaged()
    await this.#writer.reopen(signal)
    const { feed, keeper } = this.#parts
    const { store } = keeper
    if (store.cursor.token.equals(this.#cursor.token)) feed.settle(store)
    else feed.drop()
    return 'restart'
  }
}
