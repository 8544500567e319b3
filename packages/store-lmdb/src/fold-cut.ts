import { SnapshotError } from '@slip/kv-core'
import { nativeError, readError, readLayers, readState, type Environment } from './environment.ts'
import type { FoldState } from './fold-state.ts'
import type { Layers } from './layer-row.ts'
import type { FoldDatabases } from './layer-stack.ts'
import type { FoldDatabase } from './layered-database.ts'
import type { ReadOptions, ReadTransaction } from './lmdb-js.js'

/** Something that reads from a cut and must stop before its transaction ends. */
export interface CutUser {
  stop(): void
}

/**
 * One commit of a fold, pinned by a read transaction: every read through it sees that commit. It costs
 * the file the pages that later commits replace, so it is held as shortly as possible.
 */
export class FoldCut {
  readonly environment: Environment
  readonly file: string
  readonly options: ReadOptions
  readonly state: FoldState
  /** What is above the sorted databases; undefined where nothing is. */
  readonly layers: Layers | undefined
  readonly #users = new Set<CutUser>()
  readonly #ended: () => void
  #shown: FoldDatabases | undefined
  #references = 1
  #open = true

  private constructor(
    environment: Environment,
    file: string,
    options: ReadOptions,
    found: { readonly state: FoldState; readonly layers: Layers | undefined },
    ended: () => void,
  ) {
    this.environment = environment
    this.file = file
    this.options = options
    this.state = found.state
    this.layers = found.layers
    this.#ended = ended
  }

  /**
   * Pins the newest commit; `ended` is called when it is let go. With `show` what arrived is read at once, as
   * `show` does. SnapshotError `Corrupted`, `InvalidFormat`.
   */
  static newest(
    environment: Environment,
    file: string,
    ended: () => void,
    { show }: { readonly show: boolean },
  ): FoldCut {
    for (;;) {
      const transaction = begin(environment, file)
      const options = { transaction }
      try {
        const state = readState(environment.meta, options)
        if (state === undefined) throw new SnapshotError('Corrupted', `${file} has no state`, { path: file })
        const layers = readLayers(environment.meta, options)
        if (layers !== undefined && environment.layers.opens(layers)) {
          transaction.done()
          continue
        }
        const cut = new FoldCut(environment, file, options, { state, layers }, ended)
        if (show) cut.show()
        return cut
      } catch (error) {
        transaction.done()
        throw readError(error, file)
      }
    }
  }

  get data(): FoldDatabase {
    return this.show().data
  }

  get deleted(): FoldDatabase {
    return this.show().deleted
  }

  /**
   * Reads what arrived since the last cut that was shown, and keeps it in memory: little where each cut is
   * shown as it comes, all of a run where none was. SnapshotError `Corrupted`.
   */
  show(): FoldDatabases {
    this.#shown ??= this.layers === undefined ? this.environment : this.#layered(this.layers)
    return this.#shown
  }

  /** Does what `show` does in slices. SnapshotError `Corrupted`; `Closed` where the cut was ended meanwhile. */
  async prepare(): Promise<void> {
    if (this.layers !== undefined && this.#shown === undefined)
      try {
        await this.environment.layers.prepare(this.layers, this.options, () => this.#open)
      } catch (error) {
        throw readError(error, this.file)
      }
    if (!this.#open) throw new SnapshotError('Closed', `${this.file} was closed`, { path: this.file })
    this.show()
  }

  get isOpen(): boolean {
    return this.#open
  }

  retain(): this {
    this.#references++
    return this
  }

  release(): void {
    if (--this.#references === 0) this.end()
  }

  /** A cursor on the transaction; it has to be closed first. */
  register(user: CutUser): void {
    this.#users.add(user)
  }

  unregister(user: CutUser): void {
    this.#users.delete(user)
  }

  #layered(layers: Layers): FoldDatabases {
    try {
      return this.environment.layers.show(layers, this.options)
    } catch (error) {
      throw readError(error, this.file)
    }
  }

  /** Stops every reader and gives the transaction back. */
  end(): void {
    if (!this.#open) return
    this.#open = false
    for (const user of this.#users) user.stop()
    this.#users.clear()
    this.options.transaction.done()
    this.#ended()
  }
}

function begin({ root }: Environment, file: string): ReadTransaction {
  try {
    root.resetReadTxn()
    const transaction = root.useReadTransaction()
    // So that nothing else ever reads through this transaction, and cursors on it are always closed.
    root.resetReadTxn()
    return transaction
  } catch (error) {
    throw nativeError(error, 'reading', file)
  }
}
