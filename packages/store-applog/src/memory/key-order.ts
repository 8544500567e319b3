import type { RecordTable } from './record-table.ts'
import { compareBytes } from '@slip/kv-core/store-parts'
import { sortByKey } from './key-sort.ts'

const FIRST_IDS = 64
const MOST_IDS = 1024
/** Up to this many unsorted entries are put in place one by one. */
const FEW = 24
const PIVOT_SAMPLE = 15

/** Entry numbers of neighbouring keys: sorted up to `sorted`, then in the order they came. */
interface Chunk {
  ids: Uint32Array
  length: number
  sorted: number
  /** No key in the chunk is below; the first chunk's is empty. */
  low: Uint8Array
}

/**
 * Entry numbers in key-byte order, in chunks of up to 1,024 that are sorted when somebody reads them
 * or `sortSome` comes by. Putting a key in costs a search among the chunks' lower bounds; a full
 * chunk is parted around a median, not sorted. 5 to 6 bytes an entry.
 */
export class KeyOrder {
  /** Changes whenever a position may have moved. */
  epoch = 0
  readonly #records: RecordTable
  readonly #chunks: Chunk[] = [emptyChunk(new Uint8Array(0))]
  readonly #unsorted = new Set<Chunk>()

  constructor(records: RecordTable) {
    this.#records = records
  }

  get hasUnsorted(): boolean {
    return this.#unsorted.size > 0
  }

  insert(id: number): void {
    const place = this.#followsAll(id) ? this.#chunks.length - 1 : this.#chunkOfEntry(id)
    const chunk = this.#chunks[place]!
    if (chunk.length === chunk.ids.length && !this.#enlarge(place, id)) {
      this.insert(id)
      return
    }
    const follows =
      chunk.sorted === chunk.length &&
      (chunk.length === 0 || this.#records.compareEntries(chunk.ids[chunk.length - 1]!, id) < 0)
    chunk.ids[chunk.length++] = id
    if (follows) chunk.sorted++
    else this.#unsorted.add(chunk)
    this.epoch++
  }

  /** Takes out an entry that is there; its record must still tell its key. */
  remove(id: number): void {
    const place = this.#chunkOfEntry(id)
    const chunk = this.#chunks[place]!
    const at = chunk.ids.subarray(0, chunk.length).indexOf(id)
    chunk.ids.copyWithin(at, at + 1, chunk.length)
    chunk.length--
    if (at < chunk.sorted) chunk.sorted--
    if (chunk.length === 0 && this.#chunks.length > 1) this.#drop(place)
    this.epoch++
  }

  /** Sorts chunks until `deadline` (of `performance.now()`). */
  sortSome(deadline: number): void {
    for (const chunk of this.#unsorted) {
      this.#sort(chunk)
      if (performance.now() >= deadline) return
    }
  }

  /** How many chunks there are; a position is a chunk and a place in it. */
  get chunkCount(): number {
    return this.#chunks.length
  }

  /** The sorted entries of a chunk; sorts it when needed, which changes `epoch`. */
  sortedChunk(place: number): Uint32Array {
    const chunk = this.#chunks[place]!
    if (chunk.sorted < chunk.length) this.#sort(chunk)
    return chunk.ids
  }

  chunkLength(place: number): number {
    return this.#chunks[place]!.length
  }

  /** The last chunk whose lower bound is at or below `key`. */
  chunkOf(key: Uint8Array): number {
    let low = 0
    let high = this.#chunks.length - 1
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      const bound = this.#chunks[middle]!.low
      if (compareBytes(bound, 0, bound.length, key, 0, key.length) <= 0) low = middle
      else high = middle - 1
    }
    return low
  }

  /** How many entries of a chunk are below `key`; sorts the chunk. */
  countBelow(place: number, key: Uint8Array): number {
    const ids = this.sortedChunk(place)
    return this.#countBelow(ids, this.#chunks[place]!.length, key)
  }

  #countBelow(ids: Uint32Array, length: number, key: Uint8Array): number {
    let low = 0
    let high = length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#records.compare(ids[middle]!, key, 0, key.length) < 0) low = middle + 1
      else high = middle
    }
    return low
  }

  /** Whether a key comes behind all others: what was written in key order is put in place at once. */
  #followsAll(id: number): boolean {
    const { ids, length, sorted } = this.#chunks.at(-1)!
    return length > 0 && sorted === length && this.#records.compareEntries(ids[length - 1]!, id) < 0
  }

  /** Bounds between two others have at least as many first bytes as both in common with the key. */
  #chunkOfEntry(id: number): number {
    const records = this.#records
    let low = 0
    let high = this.#chunks.length - 1
    let sharedLow = 0
    let sharedHigh = 0
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      const bound = this.#chunks[middle]!.low
      const shared = records.sharedWith(id, bound, Math.min(sharedLow, sharedHigh), bound.length)
      if (shared === bound.length || records.keyByte(id, shared) > bound[shared]!) {
        low = middle
        sharedLow = shared
      } else {
        high = middle - 1
        sharedHigh = shared
      }
    }
    return low
  }

  /** Makes room in a full chunk; false when the chunk was split, so that `id` may belong elsewhere. */
  #enlarge(place: number, id: number): boolean {
    const chunk = this.#chunks[place]!
    if (chunk.ids.length < MOST_IDS) {
      const ids = new Uint32Array(chunk.ids.length * 2)
      ids.set(chunk.ids)
      chunk.ids = ids
      return true
    }
    const isLast = place === this.#chunks.length - 1
    if (
      isLast &&
      chunk.sorted === chunk.length &&
      this.#records.compareEntries(id, chunk.ids[chunk.length - 1]!) > 0
    )
      this.#chunks.push(emptyChunk(this.#records.keyBytes(id)))
    else this.#split(place)
    this.epoch++
    return false
  }

  #drop(place: number): void {
    this.#unsorted.delete(this.#chunks[place]!)
    this.#chunks.splice(place, 1)
    if (place === 0) this.#chunks[0]!.low = new Uint8Array(0)
  }

  #split(place: number): void {
    const chunk = this.#chunks[place]!
    const wasSorted = chunk.sorted === chunk.length
    const pivot = wasSorted ? chunk.ids[chunk.length >>> 1]! : this.#median(chunk)
    const upper = emptyChunk(this.#records.keyBytes(pivot), MOST_IDS)
    let kept = 0
    for (let i = 0; i < chunk.length; i++) {
      const id = chunk.ids[i]!
      if (wasSorted ? i < chunk.length >>> 1 : this.#records.compareEntries(id, pivot) < 0)
        chunk.ids[kept++] = id
      else upper.ids[upper.length++] = id
    }
    chunk.length = kept
    chunk.sorted = wasSorted ? kept : 0
    upper.sorted = wasSorted ? upper.length : 0
    if (!wasSorted) this.#unsorted.add(upper)
    this.#chunks.splice(place + 1, 0, upper)
  }

  #median(chunk: Chunk): number {
    const step = Math.floor(chunk.length / PIVOT_SAMPLE)
    const sample = Array.from({ length: PIVOT_SAMPLE }, (_, i) => chunk.ids[i * step]!)
    return sample.sort((a, b) => this.#records.compareEntries(a, b))[PIVOT_SAMPLE >>> 1]!
  }

  #sort(chunk: Chunk): void {
    if (chunk.length - chunk.sorted > FEW) {
      sortByKey(this.#records, chunk.ids, 0, chunk.length, 0)
      chunk.sorted = chunk.length
    }
    for (; chunk.sorted < chunk.length; chunk.sorted++) {
      const id = chunk.ids[chunk.sorted]!
      const at = this.#countBelow(chunk.ids, chunk.sorted, this.#records.keyBytes(id))
      chunk.ids.copyWithin(at + 1, at, chunk.sorted)
      chunk.ids[at] = id
    }
    this.#unsorted.delete(chunk)
    this.epoch++
  }
}

function emptyChunk(low: Uint8Array, capacity = FIRST_IDS): Chunk {
  return { ids: new Uint32Array(capacity), length: 0, sorted: 0, low }
}
