import { PUT, REMOVE } from './batch-encoder.ts'
import { keyText, storedOf, type KeyText } from './key-text.ts'
import type { LmdbCursor, LmdbDatabase, LmdbKey, LmdbRange, ReadOptions } from './lmdb-js.js'
import type { MemoryLayer } from './memory-layer.ts'
import { MergeOrder, type MergeHead } from './merge-order.ts'

/** What the reads of a fold need of a database. */
export type FoldDatabase = Pick<LmdbDatabase, 'lastSize' | 'getBinaryFast' | 'getRange' | 'prefetch'>

/** What lies above a database, the newest last; all of `memory` is newer than the runs. */
export interface LayersAbove {
  /** Used by text. A record is what the step does, one byte, and its record. */
  readonly runs: readonly LmdbDatabase[]
  readonly memory: readonly MemoryLayer[]
}

/** A database of entries, or of deleted keys, as the layers above it make it look. */
export class LayeredDatabase implements FoldDatabase {
  lastSize = 0
  readonly #base: LmdbDatabase
  readonly #above: LayersAbove
  /** The step that makes a record of this database; the other one takes it out. */
  readonly #kept: typeof PUT | typeof REMOVE

  constructor(base: LmdbDatabase, above: LayersAbove, kept: typeof PUT | typeof REMOVE) {
    this.#base = base
    this.#above = above
    this.#kept = kept
  }

  getBinaryFast(key: LmdbKey, options: ReadOptions): Uint8Array | undefined {
    const text = keyText(key)
    const { runs, memory } = this.#above
    for (let i = memory.length - 1; i >= 0; i--) {
      const layer = memory[i]!
      const index = layer.find(text)
      if (index >= 0) return this.give(memoryRecord(layer, index, this.#kept))
    }
    for (let i = runs.length - 1; i >= 0; i--) {
      const found = runRecord(runs[i]!, text, options, this.#kept)
      if (found !== undefined) return this.give(found.record)
    }
    const bytes = this.#base.getBinaryFast(key, options)
    this.lastSize = this.#base.lastSize
    return bytes
  }

  getRange(range: LmdbRange): { iterate(): LmdbCursor } {
    return { iterate: () => new LayeredCursor(this.#base, this.#above, this.#kept, range) }
  }

  async prefetch(keys: readonly LmdbKey[]): Promise<void> {
    const texts = keys.map(keyText)
    for (const run of this.#above.runs) await run.prefetch(texts)
    await this.#base.prefetch(keys)
  }

  private give(record: Uint8Array | undefined): Uint8Array | undefined {
    this.lastSize = record?.length ?? 0
    return record
  }
}

function memoryRecord(layer: MemoryLayer, index: number, kept: number): Uint8Array | undefined {
  const { what, record } = layer.step(index)
  return what === kept ? record : undefined
}

/** undefined where the run does not speak of the key; without a record where it takes it out. */
function runRecord(
  run: LmdbDatabase,
  text: KeyText,
  options: Partial<ReadOptions>,
  kept: number,
): { readonly record: Uint8Array | undefined } | undefined {
  const bytes = run.getBinaryFast(text, options)
  if (bytes === undefined) return undefined
  if (bytes[0] !== kept) return { record: undefined }
  return { record: new Uint8Array(bytes.buffer, bytes.byteOffset + 1, run.lastSize - 1) }
}

/** A layer on its way through a scan. */
interface ScanHead extends MergeHead {
  /** The record at its key; undefined where the layer takes it out. Valid until the next read. */
  record(): Uint8Array | undefined
  stop(): void
}

/** Keys are merged; the record is looked up in the layer that has the say. */
class LayeredCursor implements LmdbCursor {
  readonly #heads: readonly ScanHead[]
  readonly #order: MergeOrder<ScanHead>
  readonly #values: boolean

  constructor(base: LmdbDatabase, { runs, memory }: LayersAbove, kept: number, range: LmdbRange) {
    const keysOnly = { ...range, values: false }
    const inText = { ...keysOnly, start: textOf(range.start), end: textOf(range.end) }
    const heads: (ScanHead & { advance(): boolean })[] = [
      new DatabaseHead(0, base.getRange(keysOnly).iterate(), keyText, (text) => {
        if (!range.values) return NOTHING
        const bytes = base.getBinaryFast(storedOf(text), range)!
        return new Uint8Array(bytes.buffer, bytes.byteOffset, base.lastSize)
      }),
      ...runs.map((run, i) => {
        const read = (text: KeyText): Uint8Array | undefined => runRecord(run, text, range, kept)?.record
        return new DatabaseHead(1 + i, run.getRange(inText).iterate(), asText, read)
      }),
      ...memory.map((layer, i) => new MemoryHead(1 + runs.length + i, layer, inText, kept)),
    ]
    this.#heads = heads
    this.#order = new MergeOrder(
      heads.filter((head) => head.advance()),
      range.reverse,
    )
    this.#values = range.values
  }

  next(): ReturnType<LmdbCursor['next']> {
    for (let top = this.#order.top; top !== undefined; top = this.#order.top) {
      const { text } = top
      const record = top.record()
      this.#order.skip()
      if (record === undefined) continue
      const key = storedOf(text)
      // The heads have moved meanwhile, which reads keys only and leaves the value as it is.
      return { done: false, value: this.#values ? { key, value: record } : key }
    }
    return { done: true, value: undefined }
  }

  return(): undefined {
    for (const head of this.#heads) head.stop()
  }
}

const NOTHING = new Uint8Array(0)

class DatabaseHead implements ScanHead {
  text: KeyText = ''
  readonly rank: number
  readonly #cursor: LmdbCursor
  readonly #textOf: (key: LmdbKey) => KeyText
  readonly #read: (text: KeyText) => Uint8Array | undefined

  constructor(
    rank: number,
    cursor: LmdbCursor,
    textOf: (key: LmdbKey) => KeyText,
    read: (text: KeyText) => Uint8Array | undefined,
  ) {
    this.rank = rank
    this.#cursor = cursor
    this.#textOf = textOf
    this.#read = read
  }

  advance(): boolean {
    const { done, value } = this.#cursor.next()
    if (done === true) return false
    this.text = this.#textOf(value as LmdbKey)
    return true
  }

  record(): Uint8Array | undefined {
    return this.#read(this.text)
  }

  stop(): void {
    this.#cursor.return()
  }
}

class MemoryHead implements ScanHead {
  text: KeyText = ''
  readonly rank: number
  readonly #layer: MemoryLayer
  readonly #kept: number
  readonly #step: 1 | -1
  readonly #end: number
  #index: number

  constructor(
    rank: number,
    layer: MemoryLayer,
    { start, end, reverse }: { start: KeyText | undefined; end: KeyText | undefined; reverse: boolean },
    kept: number,
  ) {
    this.rank = rank
    this.#layer = layer
    this.#kept = kept
    const [from, to] = reverse ? [end, start] : [start, end]
    const first = from === undefined ? 0 : layer.lowerBound(from)
    const behind = to === undefined ? layer.size : layer.lowerBound(to)
    this.#step = reverse ? -1 : 1
    this.#index = reverse ? behind : first - 1
    this.#end = reverse ? first - 1 : behind
  }

  advance(): boolean {
    this.#index += this.#step
    if ((this.#end - this.#index) * this.#step <= 0) return false
    this.text = this.#layer.text(this.#index)
    return true
  }

  record(): Uint8Array | undefined {
    return memoryRecord(this.#layer, this.#index, this.#kept)
  }

  stop(): void {
    this.#index = this.#end
  }
}

/** Of a database that is used by text. */
function asText(key: LmdbKey): KeyText {
  return key as KeyText
}

function textOf(key: LmdbKey | undefined): KeyText | undefined {
  return key === undefined ? undefined : keyText(key)
}
