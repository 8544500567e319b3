import { SnapshotError } from '@slip/kv-core'
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

  /** What a transaction shows that sees `layers`, none of them unopened. */
  show(layers: Layers, options: ReadOptions): FoldDatabases {
    const { from, to } = layers.arrivals
    if (from !== this.#from || to < this.#to) {
      this.#memory = []
      this.#to = from
    }
    this.#from = from
    for (; this.#to < to; this.#to++)
      this.#memory = added(this.#memory, MemoryLayer.of(this.arrival(this.#to, options)))
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

  #open(name: string): LmdbDatabase {
    const database = this.#byText(name)
    if (database === undefined) throw missing(`database ${name}`)
    return database
  }
}

/** Each layer is more than twice as large as the next, so that there are few and each step moves seldom. */
function added(memory: readonly MemoryLayer[], newest: MemoryLayer): readonly MemoryLayer[] {
  const layers = [...memory]
  let last = newest
  for (let below = layers.at(-1); below !== undefined && below.size <= 2 * last.size; below = layers.at(-1)) {
    last = MemoryLayer.merged(below, last)
    layers.pop()
  }
  return [...layers, last]
}

function missing(what: string): SnapshotError {
  return new SnapshotError('Corrupted', `${what} of the layers is missing`)
}
