import { recordKeyAt, recordKeyBytes } from '../record.ts'
import { Arena } from './arena.ts'
import { compareBytes } from '@slip/kv-core/store-parts'

/** How many bytes of a key `keyDigit` reads. */
export const DIGIT_BYTES = 5
const DIGIT_BASE = 257
const PAGE_BITS = 16
const PAGE_MASK = (1 << PAGE_BITS) - 1

/** Finds the record of an entry number without allocating: after `locate` it starts at `bytes[at]`. */
export interface RecordSource {
  readonly bytes: Buffer
  readonly at: number
  /** False when there is no record. */
  locate(id: number): boolean
}

/**
 * Gives each key a number for as long as it is known, and each number the address of its newest
 * record. Pages keep growth free of copies.
 */
export class RecordTable implements RecordSource {
  readonly arena: Arena
  bytes: Buffer = Buffer.alloc(0)
  at = 0
  /** Every number given so far is below. */
  limit = 0
  readonly #pages: Float64Array[] = []
  readonly #free: number[] = []

  constructor(arena: Arena) {
    this.arena = arena
  }

  addressOf(id: number): number {
    return this.#pages[id >>> PAGE_BITS]![id & PAGE_MASK]!
  }

  setAddress(id: number, address: number): void {
    this.#pages[id >>> PAGE_BITS]![id & PAGE_MASK] = address
  }

  /** A number for a new key; one that was freed, if there is any. */
  add(address: number): number {
    let id = this.#free.pop()
    if (id === undefined) {
      id = this.limit++
      if ((id & PAGE_MASK) === 0) this.#pages.push(new Float64Array(PAGE_MASK + 1))
    }
    this.setAddress(id, address)
    return id
  }

  free(id: number): void {
    this.setAddress(id, 0)
    this.#free.push(id)
  }

  locate(id: number): boolean {
    const address = this.addressOf(id)
    if (address === 0) return false
    const segment = this.arena.segmentAt(address)
    this.bytes = segment.bytes
    this.at = address - segment.base
    return true
  }

  /** Whether entry `id` has the key `bytes[from, to)`. */
  matches(id: number, bytes: Uint8Array, from: number, to: number): boolean {
    const address = this.addressOf(id)
    const segment = this.arena.segmentAt(address)
    const record = segment.bytes
    const at = address - segment.base
    if (recordKeyBytes(record, at) !== to - from) return false
    let keyAt = recordKeyAt(record, at)
    for (let i = from; i < to; i++) if (record[keyAt++] !== bytes[i]) return false
    return true
  }

  /** Compares the key of entry `id` with `bytes[from, to)`. */
  compare(id: number, bytes: Uint8Array, from: number, to: number): number {
    const address = this.addressOf(id)
    const segment = this.arena.segmentAt(address)
    const record = segment.bytes
    const at = address - segment.base
    const keyAt = recordKeyAt(record, at)
    return compareBytes(record, keyAt, keyAt + recordKeyBytes(record, at), bytes, from, to)
  }

  /** Compares the keys of two entries. */
  compareEntries(a: number, b: number): number {
    const address = this.addressOf(b)
    const segment = this.arena.segmentAt(address)
    const keyAt = recordKeyAt(segment.bytes, address - segment.base)
    return this.compare(
      a,
      segment.bytes,
      keyAt,
      keyAt + recordKeyBytes(segment.bytes, address - segment.base),
    )
  }

  /** Five bytes of the key of entry `id` from `depth` on, as a number that sorts as they do; below 2^41. */
  keyDigit(id: number, depth: number): number {
    const address = this.addressOf(id)
    const segment = this.arena.segmentAt(address)
    const bytes = segment.bytes
    const keyAt = recordKeyAt(bytes, address - segment.base)
    const end = keyAt + recordKeyBytes(bytes, address - segment.base)
    let digit = 0
    for (let at = keyAt + depth, last = at + DIGIT_BYTES; at < last; at++)
      digit = digit * DIGIT_BASE + (at < end ? bytes[at]! + 1 : 0)
    return digit
  }

  /** Byte `at` of the key of entry `id`; -1 behind its end. */
  keyByte(id: number, at: number): number {
    const address = this.addressOf(id)
    const segment = this.arena.segmentAt(address)
    const record = address - segment.base
    return at < recordKeyBytes(segment.bytes, record)
      ? segment.bytes[recordKeyAt(segment.bytes, record) + at]!
      : -1
  }

  /** How many first bytes of `key`, up to `most`, the key of entry `id` has too, when the first `least` are known to be the same. */
  sharedWith(id: number, key: Uint8Array, least: number, most: number): number {
    const address = this.addressOf(id)
    const segment = this.arena.segmentAt(address)
    const bytes = segment.bytes
    const keyAt = recordKeyAt(bytes, address - segment.base)
    const length = Math.min(most, recordKeyBytes(bytes, address - segment.base))
    let shared = least
    while (shared < length && bytes[keyAt + shared] === key[shared]) shared++
    return shared
  }

  /** A copy of the key of entry `id`. */
  keyBytes(id: number): Uint8Array {
    const address = this.addressOf(id)
    const segment = this.arena.segmentAt(address)
    const keyAt = recordKeyAt(segment.bytes, address - segment.base)
    return Uint8Array.prototype.slice.call(
      segment.bytes,
      keyAt,
      keyAt + recordKeyBytes(segment.bytes, address - segment.base),
    )
  }
}
