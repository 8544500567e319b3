import {
  SnapshotError,
  type ApplyOptions,
  type KvUpdate,
  type StagedFold,
  type WatchCursor,
} from '@slip/kv-core'
import type { OpenFold } from './open-fold.ts'
import { storedKey } from './stored-key.ts'

/** A second file beside the one in use; a crash before `commit` leaves only files that the next opener removes. */
export class StagedFile implements StagedFold {
  readonly #fold: OpenFold
  readonly #adopt: () => Promise<void>
  readonly #remove: () => Promise<void>
  #ended: 'committed' | 'discarded' | 'failed' | undefined
  /** Whether the file may be the one in use, whatever became of the commit: the next opener knows. */
  #handedOver = false

  /** `adopt` puts the file, closed, in the place of the one in use; `remove` deletes it. */
  constructor(fold: OpenFold, adopt: () => Promise<void>, remove: () => Promise<void>) {
    this.#fold = fold
    this.#adopt = adopt
    this.#remove = remove
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
    const { environment, options } = this.#fold.cut
    const stored = storedKey(key)
    return stored !== undefined && environment.data.getBinaryFast(stored, options) !== undefined
  }

  async commit(): Promise<void> {
    this.#mustBeOpen()
    try {
      await this.#fold.sync()
      await this.#fold.close()
      this.#handedOver = true
      await this.#adopt()
      this.#ended = 'committed'
    } catch (error) {
      this.#ended = 'failed'
      await this.#fold.close()
      throw error
    }
  }

  async discard(): Promise<void> {
    if (this.#ended === 'committed' || this.#ended === 'discarded') return
    this.#ended = 'discarded'
    await this.#fold.close()
    if (!this.#handedOver) await this.#remove()
  }

  #mustBeOpen(): void {
    if (this.#ended !== undefined)
      throw new SnapshotError('Closed', `the staged fold was ${this.#ended} already`)
  }
}
