import type { FlushOutcome } from '../apply/flusher.ts'
import { WatchCursor } from '../cursor.ts'
import type { KvUpdate } from '../entry.ts'
import type { Binding } from '../lineage.ts'
import type { RebuildReason } from '../protocol/attach.ts'
import { Slices } from '../slices.ts'
import type { SnapshotStore, StagedFold } from '../store.ts'
import { VersionToken } from '../token.ts'
import type { FoldParts } from './fold-parts.ts'
import type { FoldWriter } from './fold-writer.ts'

const CHUNK = 1024
const YIELD_EVERY = 64

/**
 * A second fold, hydrated from nothing while readers keep the first. `finish` gives `apply` the keys
 * that vanished, then swaps. A crash before the swap leaves the first fold as it was.
 *
 * A store that cannot stage is emptied first and hydrated in place; its cursor is none until then, so
 * that a crash in between is rebuilt again.
 */
export class Rebuild<S extends SnapshotStore, T> {
  readonly reason: RebuildReason
  readonly binding: Binding
  readonly #parts: FoldParts<S, T>
  readonly #writer: FoldWriter<S, T>
  readonly #staged: StagedFold
  #cursor: WatchCursor
  #bound = false

  private constructor(
    parts: FoldParts<S, T>,
    writer: FoldWriter<S, T>,
    staged: StagedFold,
    what: { readonly reason: RebuildReason; readonly binding: Binding; readonly start: WatchCursor },
  ) {
    this.#parts = parts
    this.#writer = writer
    this.#staged = staged
    this.reason = what.reason
    this.binding = what.binding
    this.#cursor = what.start
  }

  /** `undefined` when the caller ended first. */
  static async begin<S extends SnapshotStore, T>(
    parts: FoldParts<S, T>,
    writer: FoldWriter<S, T>,
    what: { readonly reason: RebuildReason; readonly binding: Binding },
  ): Promise<Rebuild<S, T> | undefined> {
    const { keeper, flusher, oversize, gate } = parts
    flusher.forget()
    oversize.forget()
    const start = what.binding.evictionSeen
      ? WatchCursor.fromToken(VersionToken.unknown, { evictionSeen: true })
      : WatchCursor.none
    let staged: StagedFold | undefined
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
          else if (await emptied(parts, start)) staged = inPlace(store)
        },
        reopen: async () => {
          await writer.reopen([])
          return 'ready'
        },
      }),
    )
    return staged === undefined ? undefined : new Rebuild(parts, writer, staged, { ...what, start })
  }

  /** What the staged fold holds: a session that broke goes on from here. */
  get cursor(): WatchCursor {
    return this.#cursor
  }

  flush(updates: readonly KvUpdate[], cursor: WatchCursor): Promise<FlushOutcome> {
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
          await this.#staged.apply(kept, cursor, this.#bound ? undefined : this.#writer.lineageFor(undefined))
        },
        reopen: () => this.#startOver(),
      })
      if (outcome !== 'committed') return outcome
      this.#bound = true
      this.#cursor = cursor
      board.applied += updates.length
      board.relisted += updates.length
      board.skipped = oversize.skipped
      feed.hold(kept, 'resync')
      return outcome
    })
  }

  /** Everything that existed was delivered: deletes what vanished, and swaps. */
  finish(): Promise<FlushOutcome> {
    const { keeper, flusher, feed, gate } = this.#parts
    return gate.run(async () => {
      const removed = await this.#removeVanished()
      if (removed !== 'committed') return removed
      const outcome = await flusher.flush({
        updates: [],
        cursor: this.#cursor,
        phase: 'resync',
        standing: keeper.figures.cursor,
        failingSinceMs: this.#writer.failingSinceMs,
        commit: async () => {
          if (!this.#bound) await this.#staged.apply([], this.#cursor, this.#writer.lineageFor(undefined))
          this.#bound = true
          await this.#staged.commit()
        },
        reopen: () => this.#startOver(),
      })
      if (outcome !== 'committed') return outcome
      feed.release()
      this.#writer.committed(this.#cursor, true)
      return outcome
    })
  }

  /** Leaves the fold in use as it is. */
  async discard(): Promise<void> {
    this.#parts.feed.drop()
    this.#parts.flusher.forget()
    try {
      await this.#staged.discard()
    } catch {
      // What is left of it is invisible, and the store clears it when it is opened again.
    }
  }

  /** The staged fold cannot be trusted after a failure, nor can the handle it came from. */
  async #startOver(): Promise<'restart'> {
    await this.discard()
    await this.#writer.reopen([])
    return 'restart'
  }

  async #removeVanished(): Promise<FlushOutcome> {
    const slices = new Slices('follow.apply')
    let sinceYield = 0
    let vanished: KvUpdate[] = []
    slices.begin()
    for (const key of this.#parts.keeper.store.keys()) {
      if (!this.#staged.has(key)) vanished.push(syntheticDelete(key))
      if (vanished.length === CHUNK) {
        slices.end()
        const outcome = await this.#hand(vanished)
        if (outcome !== 'committed') return outcome
        vanished = []
        slices.begin()
      } else if (++sinceYield === YIELD_EVERY) {
        sinceYield = 0
        if (slices.due()) await slices.pause()
      }
    }
    slices.end()
    return vanished.length === 0 ? 'committed' : this.#hand(vanished)
  }

  async #hand(vanished: readonly KvUpdate[]): Promise<FlushOutcome> {
    const { keeper, flusher, board, feed } = this.#parts
    const outcome = await flusher.flush({
      updates: vanished,
      cursor: this.#cursor,
      phase: 'resync',
      standing: keeper.figures.cursor,
      commit: () => Promise.resolve(),
    })
    if (outcome !== 'committed') return outcome
    board.applied += vanished.length
    feed.hold(vanished, 'resync')
    return outcome
  }
}

/** Empties the fold key by key, through `apply`; false when the caller ended first. */
async function emptied<S extends SnapshotStore, T>(
  parts: FoldParts<S, T>,
  start: WatchCursor,
): Promise<boolean> {
  const { keeper, flusher, board, feed } = parts
  for (;;) {
    const updates = [...keeper.store.keys('', { limit: CHUNK })].map(syntheticDelete)
    const before = keeper.figures.cursor
    const outcome = await flusher.flush({
      updates,
      cursor: start,
      phase: 'resync',
      standing: before,
      commit: () => keeper.store.apply(updates, start),
    })
    if (outcome !== 'committed') return false
    board.applied += updates.length
    feed.publish(updates, 'resync')
    if (updates.length < CHUNK) return true
  }
}

function inPlace(store: SnapshotStore): StagedFold {
  return {
    apply: (batch, cursor, options) => store.apply(batch, cursor, options),
    has: (key) => store.has(key),
    commit: () => Promise.resolve(),
    discard: () => Promise.resolve(),
  }
}

function syntheticDelete(key: string): KvUpdate {
  return { operation: 'delete', key, version: VersionToken.unknown, reason: 'resync' }
}
