import { MAX_RECORD_KEY_BYTES, recordKeyAt, recordKeyBytes } from '../record.ts'
import type { Arena } from './arena.ts'
import { HashIndex } from './hash-index.ts'
import { ListScan, OrderScan, type IdScan } from './id-scan.ts'
import { asciiPrefix, utf8Length, writeUtf8, type KeyRange } from '@slip/kv-core/store-parts'
import type { KeyHash } from './key-hash.ts'
import { KeyOrder } from './key-order.ts'
import { RecordTable } from './record-table.ts'

/** So many entries are ordered on the spot when a range is read: a few milliseconds. */
const ORDERED_AT_ONCE = 2048
/** Up to so many matches are sorted by themselves while the order is not complete. */
const SORTED_AT_ONCE = 16_384
const CLOCK_EVERY = 64

const scratch = new Uint8Array(MAX_RECORD_KEY_BYTES)

/** Every known key: by hash, and as far as `orderSome` got, in key-byte order. */
export class KeyDirectory {
  readonly records: RecordTable
  readonly #hash: KeyHash
  readonly #index: HashIndex
  readonly #order: KeyOrder
  /** Entries below are in the order. */
  #ordered = 0

  constructor(arena: Arena, hash: KeyHash) {
    this.records = new RecordTable(arena)
    this.#hash = hash
    this.#index = new HashIndex(this.records)
    this.#order = new KeyOrder(this.records)
  }

  /** The entry with this key, or -1. */
  find(key: string): number {
    if (key.length > MAX_RECORD_KEY_BYTES) return -1
    if (asciiPrefix(key) < key.length && !fitsScratch(key)) return -1
    const length = writeUtf8(key, scratch, 0)
    return this.#index.find(this.#hash.of(scratch, 0, length), scratch, 0, length)
  }

  hashOf(bytes: Uint8Array, at: number): number {
    const from = recordKeyAt(bytes, at)
    return this.#hash.of(bytes, from, from + recordKeyBytes(bytes, at))
  }

  /** Makes room for about `count` keys; only before the first. */
  reserve(count: number): void {
    this.#index.reserve(count)
  }

  /** Brings the places of these hashes near, all at once: finding them one by one would wait for each. */
  prefetch(hashes: Uint32Array, count: number): void {
    this.#index.prefetch(hashes, count)
  }

  /** The entry with the key of the record at `at`, or -1. */
  findRecord(hash: number, bytes: Uint8Array, at: number): number {
    const from = recordKeyAt(bytes, at)
    return this.#index.find(hash, bytes, from, from + recordKeyBytes(bytes, at))
  }

  /** A new key whose first record is at `address`. */
  add(hash: number, address: number): number {
    const id = this.records.add(address)
    this.#index.insert(hash, id)
    if (id < this.#ordered) this.#order.insert(id)
    return id
  }

  /** Forgets the key of entry `id`, whose record must still be there. */
  drop(hash: number, id: number): void {
    this.#index.remove(hash, id)
    if (id < this.#ordered) this.#order.remove(id)
    this.records.free(id)
  }

  get orderDue(): boolean {
    return this.#ordered < this.records.limit || this.#order.hasUnsorted
  }

  /** Goes on with the order until `deadline` (of `performance.now()`). */
  orderSome(deadline: number): void {
    this.#orderUntil(deadline)
    if (this.#ordered === this.records.limit && performance.now() < deadline) this.#order.sortSome(deadline)
  }

  /**
   * The entries of a range in key order. While the order is far from complete this looks at every
   * key, and sorts what it finds; with many matches it completes the order at once.
   */
  scan(range: KeyRange, reverse: boolean): IdScan {
    const { limit } = this.records
    if (limit - this.#ordered > ORDERED_AT_ONCE) {
      const matches = this.#matches(range)
      if (matches !== undefined) return new ListScan(matches, reverse)
    }
    this.#orderUntil(Number.POSITIVE_INFINITY)
    return new OrderScan(this.#order, this.records, range, reverse)
  }

  #orderUntil(deadline: number): void {
    const { records } = this
    while (this.#ordered < records.limit) {
      const end = Math.min(records.limit, this.#ordered + CLOCK_EVERY)
      for (; this.#ordered < end; this.#ordered++)
        if (records.addressOf(this.#ordered) !== 0) this.#order.insert(this.#ordered)
      if (performance.now() >= deadline) return
    }
  }

  /** Undefined when there are too many. */
  #matches(range: KeyRange): Uint32Array | undefined {
    const { records } = this
    const matches: number[] = []
    for (let id = 0; id < records.limit; id++) {
      if (records.addressOf(id) === 0 || !within(records, id, range)) continue
      if (matches.length === SORTED_AT_ONCE) return undefined
      matches.push(id)
    }
    return Uint32Array.from(matches.sort((a, b) => records.compareEntries(a, b)))
  }
}

function within(records: RecordTable, id: number, range: KeyRange): boolean {
  return (
    records.compare(id, range.from, 0, range.from.length) >= 0 &&
    (range.to === undefined || records.compare(id, range.to, 0, range.to.length) < 0)
  )
}

/** Whether a key that is not ASCII has a UTF-8 form that a record could hold. */
function fitsScratch(key: string): boolean {
  try {
    return utf8Length(key) <= MAX_RECORD_KEY_BYTES
  } catch {
    return false
  }
}
