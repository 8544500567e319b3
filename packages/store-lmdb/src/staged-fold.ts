import {
  SnapshotError,
  type ApplyOptions,
  type KvUpdate,
  type StagedFold,
  type WatchCursor,
} from '@slip/kv-core'
import type { BulkMerge } from './bulk-merge.ts'
import type { CurrentFold } from './fold-directory.ts'
import type { FoldCut } from './fold-cut.ts'
import { FoldScan, namesOf } from './fold-scan.ts'
import { KeyProbe } from './key-probe.ts'
import type { OpenFold } from './open-fold.ts'
import { closeReread } from './reread-file.ts'

/** What a staged fold needs of the store it is staged for. */
export interface StagingPlace {
  /** Begins to merge the layers of the staged fold. */
  readonly merge: () => Promise<BulkMerge>
  /** Puts the staged file, or what its layers were merged into, closed, in the place of the one in use. */
  readonly adopt: (merged: CurrentFold | undefined) => Promise<void>
  /** Reads the staged file again, after it was closed; undefined where it, or what it was merged into, is the one in use. */
  readonly reread: (merged: CurrentFold | undefined) => Promise<FoldCut | undefined>
  /** Deletes the staged file. */
  readonly remove: () => Promise<void>
}

/** A second file beside the one in use; a crash before `commit` leaves only files that the next opener removes. */
export class StagedFile implements StagedFold {
  readonly #fold: OpenFold
  readonly #place: StagingPlace
  readonly #probe = new KeyProbe()
  #merge: BulkMerge | undefined
  #committing: Promise<void> | undefined
  #ended: 'committed' | 'discarded' | 'failed' | undefined
  /** Whether the file may be the one in use, whatever became of the commit: the next opener knows. */
  #handedOver = false
  /** What there is to read after the file was closed for a commit that failed: its last commit, nothing, or why not. */
  #left: { readonly cut: FoldCut | undefined } | { readonly error: unknown } | undefined

  constructor(fold: OpenFold, place: StagingPlace) {
    this.#fold = fold
    this.#place = place
  }

  /** Whether it may still become the fold in use. */
  get isPending(): boolean {
    return this.#ended === undefined
  }

  async apply(batch: readonly KvUpdate[], cursor: WatchCursor, options: ApplyOptions = {}): Promise<void> {
    this.#mustBeOpen()
    try {
      await this.#fold.apply(batch, cursor, options)
    } finally {
      if (this.#fold.failure !== undefined) this.#ended ??= 'failed'
    }
  }

  has(key: string): boolean {
    this.#mustBeOpen()
    return this.#probe.has(this.#fold.cut, key)
  }

  keys(): IterableIterator<string> {
    if (this.#ended !== 'failed') this.#mustBeOpen()
    const left = this.#left ?? { cut: this.#fold.cut }
    if ('error' in left) throw left.error
    const { cut } = left
    if (cut === undefined) return [].values()
    return new FoldScan(cut, cut.data, namesOf, '', {})
  }

  async commit(): Promise<void> {
    this.#mustBeOpen()
    this.#committing ??= this.#commit()
    await this.#committing
  }

  async discard(): Promise<void> {
    await this.#merge?.end()
    await this.#committing?.catch(() => undefined)
    if (this.#ended === 'committed' || this.#ended === 'discarded') return
    this.#ended = 'discarded'
    if (this.#left !== undefined && 'cut' in this.#left && this.#left.cut !== undefined)
      await closeReread(this.#left.cut)
    await this.#fold.close()
    if (!this.#handedOver) await this.#place.remove()
  }

  async #commit(): Promise<void> {
    let closed = false
    let merged: CurrentFold | undefined
    try {
      merged = this.#fold.cut.layers === undefined ? undefined : await this.#merged()
      if (merged === undefined) await this.#fold.sync()
      closed = true
      await this.#fold.close()
      if (merged === undefined) this.#handedOver = true
      else this.#merge?.keep(true)
      await this.#place.adopt(merged)
      this.#ended = 'committed'
      // What is left of it the next opener removes.
      if (merged !== undefined) await this.#place.remove().catch(() => undefined)
    } catch (error) {
      if (closed)
        this.#left = await this.#place.reread(merged).then(
          (cut) => ({ cut }),
          (cause: unknown) => ({ error: cause }),
        )
      this.#ended = 'failed'
      throw error
    } finally {
      await this.#merge?.end()
    }
  }

  async #merged(): Promise<CurrentFold | undefined> {
    this.#merge = await this.#place.merge()
    await this.#merge.hold().merged
    return this.#merge.finish()
  }

  #mustBeOpen(): void {
    if (this.#ended !== undefined)
      throw new SnapshotError('Closed', `the staged fold was ${this.#ended} already`)
  }
}
