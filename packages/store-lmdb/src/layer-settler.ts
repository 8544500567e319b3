import { SnapshotError } from '@slip/kv-core'
import type { Turns } from '@slip/kv-core/store-parts'
import { BulkMerge, type MergePlace } from './bulk-merge.ts'
import type { CurrentFold } from './fold-directory.ts'
import type { OpenFold } from './open-fold.ts'

const RETRY_MS = 60_000

/** The store whose layers are merged. */
export interface SettledStore {
  readonly place: MergePlace
  readonly turns: Turns
  /** The fold in use. */
  readonly fold: () => OpenFold
  /** False when the store is closed, or another file is about to replace the one in use. */
  readonly mayMerge: () => boolean
  /** Puts a file, closed, in the place of the one in use. */
  readonly adopt: (next: CurrentFold) => Promise<void>
  /** A merge met damage. */
  readonly suspect: () => void
}

/** Puts a file without layers in the place of one that was filled in bulk, one merge at a time. */
export class LayerSettler {
  readonly #store: SettledStore
  #merge: BulkMerge | undefined
  #running: Promise<void> | undefined
  /** Not before that: the last one failed. */
  #afterMs = 0

  constructor(store: SettledStore) {
    this.#store = store
  }

  /** Merges where no more comes for the moment. Never rejects: layers are as good as before, only slower to read. */
  async settleWhenCalm(): Promise<void> {
    if (this.#running !== undefined || !this.#store.mayMerge()) return
    if (!this.#store.fold().shouldMerge || performance.now() < this.#afterMs) return
    await this.#run(false).catch((error: unknown) => {
      this.#afterMs = performance.now() + RETRY_MS
      if (SnapshotError.is(error) && error.code === 'Corrupted') this.#store.suspect()
    })
  }

  /** Merges now, and keeps the process alive until there is nothing to merge. Rejects as the merge does. */
  async settle(): Promise<void> {
    this.#merge?.hold()
    await this.#running?.catch(() => undefined)
    while (this.#store.mayMerge() && this.#store.fold().cut.layers !== undefined) await this.#run(true)
  }

  /** Ends a merge that so much came after that it is of no use. To be called after each batch. */
  applied(): void {
    if (this.#merge?.isOutgrown === true) void this.#merge.end()
  }

  /** Ends the merge under way; nothing of it works on when this resolves. */
  async stop(): Promise<void> {
    await this.#merge?.end()
    await this.#running?.catch(() => undefined)
  }

  async #run(held: boolean): Promise<void> {
    this.#running ??= this.#mergeOnce(held)
    try {
      await this.#running
    } finally {
      this.#running = undefined
    }
  }

  async #mergeOnce(held: boolean): Promise<void> {
    const { place, turns } = this.#store
    const merge = await turns.take(async () => {
      const fold = this.#store.fold()
      if (!this.#store.mayMerge() || fold.cut.layers === undefined) return undefined
      this.#merge = await BulkMerge.begin(place, fold)
      return this.#merge
    })
    if (merge === undefined) return
    // Whoever stops it may have come while it began.
    if (!this.#store.mayMerge()) await merge.end()
    if (held) merge.hold()
    try {
      await merge.merged
      await turns.take(async () => this.#publish(merge))
    } catch (error) {
      if (!merge.isOutgrown && this.#store.mayMerge()) throw error
    } finally {
      this.#merge = undefined
      await merge.end()
    }
  }

  async #publish(merge: BulkMerge): Promise<void> {
    const before = this.#store.fold()
    const next = this.#store.mayMerge() ? await merge.finish() : undefined
    if (next === undefined) return
    merge.keep(true)
    try {
      await this.#store.adopt(next)
    } catch (error) {
      merge.keep(before.failure !== undefined)
      throw error
    }
  }
}
