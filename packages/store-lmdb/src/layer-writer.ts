import { SnapshotError } from '@slip/kv-core'
import { isBatch, PUT, REMOVE, stepAt } from './batch-encoder.ts'
import type { Environment } from './environment.ts'
import type { KeyText } from './key-text.ts'
import { KeptBatches } from './kept-batches.ts'
import { KeyFilter } from './key-filter.ts'
import { ARRIVALS_NAME, arrivalKey, encodeLayers, LAYERS_KEY, runName, type Layers } from './layer-row.ts'
import type { LmdbDatabase } from './lmdb-js.js'
import { commit } from './newest-commit.ts'

/** How many runs may be there before runs get larger: their number is what merging costs memory for. */
const RUNS_OF_ONE_SIZE = 256
/** A batch and a place in it as one number. */
const BATCH = 2 ** 32
const LOWEST = '\0'
const IN_ORDER = { append: true } as const
/** The pages of a transaction are held in memory until its end, and the library keeps that of the largest for the next. */
const BYTES_A_TRANSACTION = 2 * 1024 * 1024
/** Of a run; so that small runs are written as large ones are. */
const TRANSACTIONS_A_RUN = 4

/** How many entries and deleted keys a fold has. */
export interface Counts {
  entries: number
  deletedKeys: number
}

/**
 * Writes batches of a hydration as they arrive, and makes sorted runs of them: nothing is ever put at a
 * random place of a large tree. The calls are made inside a transaction where they say so; after one that
 * failed the writer is of no use.
 */
export class LayerWriter {
  readonly #environment: Environment
  readonly #arrivals: LmdbDatabase
  readonly #base: { readonly data: LmdbDatabase; readonly deleted: LmdbDatabase }
  readonly #runs: LmdbDatabase[]
  readonly #runBytes: number
  /** Of all but what is pending; there once it was asked. */
  #filter: KeyFilter | undefined
  /** Where the newest step of each key that is in no run yet is. */
  #pending = new Map<KeyText, number>()
  readonly #batches = new KeptBatches()
  #bytes = 0
  #layers: Layers

  private constructor(environment: Environment, layers: Layers, runBytes: number) {
    this.#environment = environment
    this.#layers = layers
    this.#runBytes = runBytes
    const open = (name: string): LmdbDatabase => environment.byText(name)!
    this.#arrivals = open(ARRIVALS_NAME)
    this.#base = { data: open('data'), deleted: open('deleted') }
    this.#runs = layers.runs.map((_, i) => open(runName(i)))
  }

  /** Inside a transaction: goes on where `layers` is, or lays the first layer over what `counts` says of the fold. */
  static open(
    environment: Environment,
    layers: Layers | undefined,
    counts: Counts,
    runBytes: number,
  ): LayerWriter {
    const { entries, deletedKeys } = counts
    const first = { base: { entries, deletedKeys }, runs: [], arrivals: { from: 0, to: 0 } }
    const writer = new LayerWriter(environment, layers ?? first, runBytes)
    writer.#takeArrivals()
    return writer
  }

  /** Of the batches that are in no run yet. */
  get bytes(): number {
    return this.#bytes
  }

  /** Whether what arrived should be made a run before more arrives. */
  get isFull(): boolean {
    return this.#bytes >= this.#runBytes * (1 + Math.floor(this.#runs.length / RUNS_OF_ONE_SIZE))
  }

  /** Inside a transaction: adds a batch and corrects `counts`. */
  add(steps: Uint8Array, counts: Counts): void {
    if (steps.length === 0) return
    const { runs, base, arrivals } = this.#layers
    this.#arrivals.putSync(arrivalKey(arrivals.to), steps)
    this.#take(steps, counts)
    this.#record({ base, runs, arrivals: { from: arrivals.from, to: arrivals.to + 1 } })
  }

  /**
   * Makes a run of what arrived, in transactions of its own that `guard` is part of. The last one, which `list` is
   * part of, lists the run and takes what arrived away: an end before it leaves records in a run that nobody lists,
   * which means nothing.
   */
  seal(guard: () => void, list: () => void): void {
    const environment = this.#environment
    if (this.#pending.size === 0) {
      commit(environment, guard)
      return
    }
    const { base, runs, arrivals } = this.#layers
    const texts = [...this.#pending.keys()].sort()
    const run = commit(environment, () => {
      guard()
      return environment.byText(runName(runs.length))!
    })
    for (let written = 0; written < texts.length;)
      commit(environment, () => {
        guard()
        // What a writer left that ended on the way: keys that are not above it would be dropped without a word.
        if (written === 0) run.clearSync()
        written = this.#append(run, texts, written)
        if (written < texts.length) return
        for (let i = arrivals.from; i < arrivals.to; i++) this.#arrivals.removeSync(arrivalKey(i))
        this.#record({
          base,
          runs: [...runs, texts.length],
          arrivals: { from: arrivals.to, to: arrivals.to },
        })
        list()
      })
    this.#runs.push(run)
    for (const text of texts) this.#filter?.add(text)
    this.#pending = new Map()
    this.#batches.clear()
    this.#bytes = 0
  }

  /** Inside a transaction: as many as it may hold, from `texts[from]` on. Gives where the next begins. */
  #append(run: LmdbDatabase, texts: readonly KeyText[], from: number): number {
    const most = Math.min(BYTES_A_TRANSACTION, this.#bytes / TRANSACTIONS_A_RUN)
    let to = from
    for (let bytes = 0; to < texts.length && bytes < most; to++) {
      const text = texts[to]!
      const record = this.#runRecord(text)
      if (!run.putSync(text, record, IN_ORDER))
        throw new SnapshotError('Backend', 'a record of a run was not taken')
      bytes += text.length + record.length
    }
    return to
  }

  #record(layers: Layers): void {
    if (!this.#environment.meta.putSync(LAYERS_KEY, encodeLayers(layers)))
      throw new SnapshotError('Backend', 'the list of layers was not taken')
    this.#layers = layers
  }

  /** Keeps a copy of `steps`; without `counts` they are counted already. */
  #take(steps: Uint8Array, counts?: Counts): void {
    const number = this.#batches.add(steps)
    const batch = this.#batches.at(number)
    this.#bytes += batch.length
    for (let at = 0; at < batch.length;) {
      const { what, keyFrom, keyTo, to } = stepAt(batch, at)
      const text = batch.toString('latin1', keyFrom, keyTo)
      if (counts !== undefined) count(counts, this.#before(text), what)
      this.#pending.set(text, number * BATCH + at)
      at = to
    }
  }

  /** What the last step of this key was. */
  #before(text: KeyText): number | undefined {
    const pending = this.#pending.get(text)
    if (pending !== undefined) return this.#batches.at(Math.floor(pending / BATCH))[pending % BATCH]
    this.#filter ??= this.#filterOfKeys()
    if (!this.#filter.mayHold(text)) return undefined
    for (let i = this.#runs.length - 1; i >= 0; i--) {
      const found = this.#runs[i]!.getBinaryFast(text)
      if (found !== undefined) return found[0]
    }
    if (this.#base.data.getBinaryFast(text) !== undefined) return PUT
    return this.#base.deleted.getBinaryFast(text) === undefined ? undefined : REMOVE
  }

  /** What the step does and its record, side by side: the last byte of the key is not needed any more. */
  #runRecord(text: KeyText): Uint8Array {
    const pending = this.#pending.get(text)!
    const batch = this.#batches.at(Math.floor(pending / BATCH))
    const { what, keyTo, to } = stepAt(batch, pending % BATCH)
    batch[keyTo - 1] = what
    return batch.subarray(keyTo - 1, to)
  }

  #takeArrivals(): void {
    const { from, to } = this.#layers.arrivals
    for (let i = from; i < to; i++) {
      const steps = this.#arrivals.getBinaryFast(arrivalKey(i))
      if (steps === undefined) throw new SnapshotError('Corrupted', `batch ${i} of the layers is missing`)
      const batch = new Uint8Array(steps.buffer, steps.byteOffset, this.#arrivals.lastSize)
      if (!isBatch(batch)) throw new SnapshotError('Corrupted', `batch ${i} of the layers is damaged`)
      this.#take(batch)
    }
  }

  #filterOfKeys(): KeyFilter {
    const filter = new KeyFilter()
    for (const database of [this.#base.data, this.#base.deleted, ...this.#runs]) {
      const cursor = database
        .getRange({ start: LOWEST, end: undefined, reverse: false, values: false })
        .iterate()
      for (let next = cursor.next(); next.done !== true; next = cursor.next())
        filter.add(next.value as KeyText)
    }
    return filter
  }
}

/** Corrects the counts for one key: what its last step was, and what the next one is. */
function count(counts: Counts, before: number | undefined, what: number): void {
  if (before === what) return
  if (what === PUT) counts.entries++
  else counts.deletedKeys++
  if (before === PUT) counts.entries--
  else if (before === REMOVE) counts.deletedKeys--
}
