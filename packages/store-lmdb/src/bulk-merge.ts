import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { SnapshotError } from '@slip/kv-core'
import type { FoldCut } from './fold-cut.ts'
import type { CurrentFold } from './fold-directory.ts'
import { LayerMerger } from './layer-merger.ts'
import { DEFAULT_MAX_READERS, type LmdbOptions } from './lmdb-options.ts'
import { openFile, reserveRoom } from './open-directory.ts'
import type { OpenFold } from './open-fold.ts'

/** Where a merge works. */
export interface MergePlace {
  readonly directory: string
  readonly options: LmdbOptions
  /** A file that nobody else has taken. */
  readonly nextFold: () => Promise<CurrentFold>
}

/** The layers of a fold on their way into a file without layers, which a thread writes while the fold goes on. */
export class BulkMerge {
  readonly #place: MergePlace
  readonly #fold: OpenFold
  /** Keeps the pages that are merged from being used again. */
  readonly #pinned: FoldCut
  readonly #next: CurrentFold
  readonly #merger: LayerMerger
  readonly #runs: number
  readonly #complete: boolean
  #ended: Promise<void> | undefined
  #kept = false

  private constructor(place: MergePlace, fold: OpenFold, next: CurrentFold, complete: boolean) {
    this.#place = place
    this.#fold = fold
    this.#next = next
    this.#complete = complete
    this.#pinned = fold.cut.retain()
    this.#runs = fold.cut.layers!.runs.length
    const { maxReaders = DEFAULT_MAX_READERS } = place.options
    this.#merger = new LayerMerger({ source: fold.file, target: this.#file, maxReaders })
  }

  /** `fold` is layered, and takes nothing until this resolves; one that is `complete` takes nothing after it either. */
  static async begin(
    place: MergePlace,
    fold: OpenFold,
    { complete = false }: { readonly complete?: boolean } = {},
  ): Promise<BulkMerge> {
    await fold.seal()
    // Before there is another thread, which then takes its memory over.
    if (complete) await fold.endWriting()
    const next = { ...(await place.nextFold()), foldId: fold.cut.state.foldId }
    await reserveRoom(join(place.directory, next.name))
    const merge = new BulkMerge(place, fold, next, complete)
    try {
      await merge.#merger.begun
      return merge
    } catch (error) {
      await merge.end()
      throw error
    }
  }

  /** Settles when the thread is through; SnapshotError `Closed` after `end`. */
  get merged(): Promise<void> {
    return this.#merger.merged
  }

  /** Keeps the process alive until it is through. */
  hold(): this {
    this.#merger.hold()
    return this
  }

  /** Whether so much came since that it is better merged again. */
  get isOutgrown(): boolean {
    return this.#fold.cut.layers?.runs.length !== this.#runs
  }

  /**
   * Adds what the fold, which takes nothing meanwhile, has got since, and gives the file, synced and closed.
   * undefined where it is outgrown.
   */
  async finish(): Promise<CurrentFold | undefined> {
    const { directory, options } = this.#place
    if (this.isOutgrown) return undefined
    const target = await openFile(directory, this.#next, options, {
      make: false,
      check: 'head',
      inUse: false,
    })
    try {
      await this.#fold.copyArrivalsTo(target)
      const { entries, deletedKeys } = target.cut.state
      const { state } = this.#fold.cut
      if (entries !== state.entries || deletedKeys !== state.deletedKeys)
        throw new SnapshotError(
          'Corrupted',
          `${this.#fold.file} holds ${state.entries} entries and ${state.deletedKeys} deleted keys, and ${entries} and ${deletedKeys} after merging`,
          { path: this.#fold.file },
        )
      await target.sync()
    } finally {
      await target.close()
    }
    // A writer that was paused all the while finds out here that another has the fold. Nobody takes over one that is complete.
    if (!this.#complete) await this.#fold.seal()
    return this.#next
  }

  /** Whether the file may be in use from here on: then it stays, and the next opener knows better. */
  keep(kept: boolean): void {
    this.#kept = kept
  }

  /** Gives it up, and leaves nothing of a file that is not kept. Idempotent. */
  async end(): Promise<void> {
    this.#ended ??= (async () => {
      await this.#merger.end()
      this.#pinned.release()
    })()
    await this.#ended
    // Asked each time: whoever ended it first may have come while it was about to be used.
    if (this.#kept) return
    await rm(this.#file, { force: true })
    await rm(`${this.#file}-lock`, { force: true })
  }

  get #file(): string {
    return join(this.#place.directory, this.#next.name)
  }
}
