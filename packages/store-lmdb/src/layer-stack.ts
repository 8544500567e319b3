import { SnapshotError, Slices } from '@slip/kv-core'
import { isBatch, PUT, REMOVE } from './batch-encoder.ts'
import { ARRIVALS_NAME, arrivalKey, runName, type Layers } from './layer-row.ts'
import { LayeredDatabase, type FoldDatabase } from './layered-database.ts'
import type { LmdbDatabase, ReadOptions } from './lmdb-js.js'
import { MemoryLayer } from './memory-layer.ts'

/** The databases of a fold as they look through its layers. */
export interface FoldDatabases {
  readonly data: FoldDatabase
  readonly deleted: FoldDatabase
}

/** The layers of an open file as one thread reads them; what was read of them is kept from commit to commit. */
export class LayerStack {
  readonly #base: { readonly data: LmdbDatabase; readonly deleted: LmdbDatabase }
  readonly #byText: (name: string) => LmdbDatabase | undefined
  readonly #runs: LmdbDatabase[] = []
  #arrivals: LmdbDatabase | undefined
  /** Which batches `#memory` holds. */
  #from = 0
  #to = 0
  #memory: readonly MemoryLayer[] = []
  #tidying: Promise<void> | undefined

  /** `byText` opens a database that is used by text. */
  constructor(
    base: { readonly data: LmdbDatabase; readonly deleted: LmdbDatabase },
    byText: (name: string) => LmdbDatabase | undefined,
  ) {
    this.#base = base
    this.#byText = byText
  }

  /** Whether databases had to be opened: a transaction that began before does not know them. */
  opens({ runs }: Layers): boolean {
    const before = this.#runs.length
    const first = this.#arrivals === undefined
    this.#arrivals ??= this.#open(ARRIVALS_NAME)
    while (this.#runs.length < runs.length) this.#runs.push(this.#open(runName(this.#runs.length)))
    return first || this.#runs.length > before
  }

  /**
   * Reads what arrived for `show`, in slices. Ends early where the transaction does, of which `isOpen` tells.
   * SnapshotError `Corrupted`.
   */
  async prepare({ arrivals }: Layers, options: ReadOptions, isOpen: () => boolean): Promise<void> {
    const slices = new Slices('lmdb.layers')
    this.#goTo(arrivals)
    while (isOpen() && this.#from === arrivals.from && this.#to < arrivals.to) {
      const number = this.#to
      const made: MemoryLayer[] = []
      for (const layer of MemoryLayer.of(this.arrival(number, options))) {
        made.push(layer)
        if (slices.due()) await slices.pause()
      }
      // Somebody who could not wait may have read it meanwhile.
      if (this.#from === arrivals.from && this.#to === number) this.#add(made)
    }
    slices.end()
    await this.#tidy()
  }

  /** What a transaction shows that sees `layers`, none of them unopened. SnapshotError `Corrupted`. */
  show(layers: Layers, options: ReadOptions): FoldDatabases {
    this.#goTo(layers.arrivals)
    while (this.#to < layers.arrivals.to) this.#add([...MemoryLayer.of(this.arrival(this.#to, options))])
    void this.#tidy()
    const above = { runs: this.#runs.slice(0, layers.runs.length), memory: this.#memory }
    return {
      data: new LayeredDatabase(this.#base.data, above, PUT),
      deleted: new LayeredDatabase(this.#base.deleted, above, REMOVE),
    }
  }

  /** A copy of a batch that arrived. SnapshotError `Corrupted`. */
  arrival(number: number, options: ReadOptions): Uint8Array<ArrayBuffer> {
    const bytes = this.#arrivals!.getBinaryFast(arrivalKey(number), options)
    if (bytes === undefined) throw missing(`batch ${number}`)
    const copy = new Uint8Array(
      bytes.buffer as ArrayBuffer,
      bytes.byteOffset,
      this.#arrivals!.lastSize,
    ).slice()
    if (!isBatch(copy)) throw new SnapshotError('Corrupted', `batch ${number} of the layers is damaged`)
    return copy
  }

  #goTo({ from, to }: Layers['arrivals']): void {
    if (from !== this.#from || to < this.#to) {
      this.#memory = []
      this.#to = from
    }
    this.#from = from
  }

  #add(batch: readonly MemoryLayer[]): void {
    this.#memory = [...this.#memory, ...batch]
    this.#to++
  }

  /** Makes each layer more than twice as large as the next, so that there are few and each step moves seldom. */
  async #tidy(): Promise<void> {
    this.#tidying ??= this.#merge().finally(() => (this.#tidying = undefined))
    await this.#tidying
  }

  async #merge(): Promise<void> {
    const slices = new Slices('lmdb.layers')
    for (let at = crowded(this.#memory); at >= 0; at = crowded(this.#memory)) {
      const [older, newer] = this.#memory.slice(at, at + 2) as [MemoryLayer, MemoryLayer]
      const merging = MemoryLayer.merging(older, newer)
      let step = merging.next()
      for (; step.done !== true; step = merging.next()) if (slices.due()) await slices.pause()
      // They may be a run by now.
      const now = this.#memory.indexOf(older)
      if (now >= 0) this.#memory = this.#memory.toSpliced(now, 2, step.value)
    }
    slices.end()
  }

  #open(name: string): LmdbDatabase {
    const database = this.#byText(name)
    if (database === undefined) throw missing(`database ${name}`)
    return database
  }
}

/** The newest layer that is no more than twice as large as the next; -1 where there is none. */
function crowded(memory: readonly MemoryLayer[]): number {
  return memory.findLastIndex(({ size }, i) => i + 1 < memory.length && size <= 2 * memory[i + 1]!.size)
}

function missing(what: string): SnapshotError {
  return new SnapshotError('Corrupted', `${what} of the layers is missing`)
}
