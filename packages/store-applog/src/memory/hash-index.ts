import type { RecordTable } from './record-table.ts'

const FIRST_SLOTS = 256
/** A table that would need more slots than this is split in two instead. */
const MOST_SLOTS = 24_576
const HALF_SLOTS = 16_384
const FULLEST = 0.8
/** Tables that fill alike must not grow all at once: each has its own limit, down to so much. */
const LEAST_FULL = 0.7
/** How full reserved tables are to become. */
const RESERVED = 0.66
/** Its multiples lie evenly between 0 and 1, wherever one stops. */
const GOLDEN = 0.618_033_988_75
/** Tables that the upper 16 bits of the hash cannot tell apart grow further instead. */
const MOST_DEPTH = 16

interface Table {
  /** A hash and an entry number plus one, in turn; 0 is free. */
  slots: Uint32Array
  capacity: number
  count: number
  /** The count at which it grows. */
  limit: number
  /** How many upper bits of the hash all its entries share. */
  depth: number
}

/**
 * Extendible hashing: the upper bits of a hash choose a small open-addressing table, the lower ones a
 * slot in it. A table grows by half, then splits; no step moves more than 20,000 slots, and no two
 * tables do at the same fill, so there is no pause at any size. Between 10 and 16 bytes an entry.
 */
export class HashIndex {
  readonly #records: RecordTable
  #directory: Table[]
  #depth = 1
  #tables = 0

  constructor(records: RecordTable) {
    this.#records = records
    this.#directory = [this.#table(FIRST_SLOTS, 1), this.#table(FIRST_SLOTS, 1)]
  }

  /** Makes room for about `count` entries in an index without any, so that nothing moves while they come. */
  reserve(count: number): void {
    const tables = Math.ceil(count / (HALF_SLOTS * RESERVED))
    const depth = Math.min(MOST_DEPTH, Math.ceil(Math.log2(tables)))
    if (depth < 1) return
    this.#directory = Array.from({ length: 2 ** depth }, () => this.#table(HALF_SLOTS, depth))
    this.#depth = depth
  }

  /** The entry with this key, or -1. */
  find(hash: number, key: Uint8Array, from: number, to: number): number {
    const table = this.#directory[hash >>> (32 - this.#depth)]!
    const { slots, capacity } = table
    let slot = home(hash, capacity)
    for (;;) {
      const marked = slots[2 * slot + 1]!
      if (marked === 0) return -1
      if (slots[2 * slot] === hash && this.#records.matches(marked - 1, key, from, to)) return marked - 1
      if (++slot === capacity) slot = 0
    }
  }

  /** Reads the slots that `find` and `insert` will begin with, so that the processor fetches many at a time. */
  prefetch(hashes: Uint32Array, count: number): number {
    let seen = 0
    for (let i = 0; i < count; i++) {
      const hash = hashes[i]!
      const { slots, capacity } = this.#directory[hash >>> (32 - this.#depth)]!
      seen ^= slots[2 * home(hash, capacity)]!
    }
    return seen
  }

  /** Adds an entry that `find` does not find. */
  insert(hash: number, id: number): void {
    let table = this.#directory[hash >>> (32 - this.#depth)]!
    if (table.count >= table.limit) {
      this.#grow(table, hash)
      table = this.#directory[hash >>> (32 - this.#depth)]!
    }
    place(table, hash, id + 1)
  }

  /** Removes an entry that is there. */
  remove(hash: number, id: number): void {
    const table = this.#directory[hash >>> (32 - this.#depth)]!
    const { slots, capacity } = table
    let hole = home(hash, capacity)
    while (slots[2 * hole + 1] !== id + 1) if (++hole === capacity) hole = 0
    let slot = hole
    for (;;) {
      if (++slot === capacity) slot = 0
      if (slots[2 * slot + 1] === 0) break
      const distance = slot - home(slots[2 * slot]!, capacity)
      const gap = slot - hole
      if ((distance < 0 ? distance + capacity : distance) >= (gap < 0 ? gap + capacity : gap)) {
        slots[2 * hole] = slots[2 * slot]!
        slots[2 * hole + 1] = slots[2 * slot + 1]!
        hole = slot
      }
    }
    slots[2 * hole + 1] = 0
    table.count--
  }

  #grow(table: Table, hash: number): void {
    if (table.capacity < MOST_SLOTS || table.depth === MOST_DEPTH) {
      const halfway = Number.isInteger(Math.log2(table.capacity))
      const grown = this.#table(halfway ? table.capacity * 1.5 : (table.capacity * 4) / 3, table.depth)
      moveAll(table, grown, grown)
      table.slots = grown.slots
      table.capacity = grown.capacity
      table.limit = grown.limit
      return
    }
    if (table.depth === this.#depth) {
      this.#directory = this.#directory.flatMap((entry) => [entry, entry])
      this.#depth++
    }
    const depth = table.depth + 1
    const highCount = countHigh(table)
    const low = this.#table(slotsFor(table.count - highCount), depth)
    const high = this.#table(slotsFor(highCount), depth)
    moveAll(table, low, high)
    const span = 2 ** (this.#depth - table.depth)
    const first = Math.floor((hash >>> (32 - this.#depth)) / span) * span
    for (let i = 0; i < span; i++) this.#directory[first + i] = i < span / 2 ? low : high
    const target = this.#directory[hash >>> (32 - this.#depth)]!
    if (target.count >= target.limit) this.#grow(target, hash)
  }

  #table(capacity: number, depth: number): Table {
    const share = (this.#tables++ * GOLDEN) % 1
    const limit = capacity * (LEAST_FULL + share * (FULLEST - LEAST_FULL))
    return { slots: new Uint32Array(2 * capacity), capacity, count: 0, limit, depth }
  }
}

function home(hash: number, capacity: number): number {
  return Math.trunc(((hash & 0xffff) * capacity) / 0x1_0000)
}

function place(table: Table, hash: number, marked: number): void {
  const { slots, capacity } = table
  let slot = home(hash, capacity)
  while (slots[2 * slot + 1] !== 0) if (++slot === capacity) slot = 0
  slots[2 * slot] = hash
  slots[2 * slot + 1] = marked
  table.count++
}

/** Slots for one side of a split; nearly equal hashes may leave all entries on one side. */
function slotsFor(count: number): number {
  return count < HALF_SLOTS * LEAST_FULL ? HALF_SLOTS : MOST_SLOTS
}

function countHigh(table: Table): number {
  const bit = 31 - table.depth
  let count = 0
  for (let at = 0; at < table.slots.length; at += 2)
    if (table.slots[at + 1] !== 0) count += (table.slots[at]! >>> bit) & 1
  return count
}

/** Moves every entry of `from` to `low` or `high`, by the highest bit of the hash that it does not share. */
function moveAll(from: Table, low: Table, high: Table): void {
  const bit = 31 - from.depth
  for (let at = 0; at < from.slots.length; at += 2) {
    const marked = from.slots[at + 1]!
    if (marked === 0) continue
    const hash = from.slots[at]!
    place(((hash >>> bit) & 1) === 0 ? low : high, hash, marked)
  }
}
