import type { KeyOrder } from './key-order.ts'
import type { KeyRange } from '@slip/kv-core/store-parts'
import type { RecordTable } from './record-table.ts'

/** Gives entry numbers one by one, -1 at the end. */
export interface IdScan {
  next(): number
}

/** The entries of a range in key order, either way; finds its place again after the order changed. */
export class OrderScan implements IdScan {
  readonly #order: KeyOrder
  readonly #records: RecordTable
  readonly #range: KeyRange
  readonly #reverse: boolean
  #epoch = -1
  #last = -1
  #chunk = 0
  #at = 0
  #endChunk = 0
  #endAt = 0

  constructor(order: KeyOrder, records: RecordTable, range: KeyRange, reverse: boolean) {
    this.#order = order
    this.#records = records
    this.#range = range
    this.#reverse = reverse
  }

  next(): number {
    if (this.#epoch !== this.#order.epoch) this.#locate()
    return this.#reverse ? this.#nextDown() : this.#nextUp()
  }

  #nextUp(): number {
    while (this.#chunk < this.#endChunk && this.#at >= this.#order.chunkLength(this.#chunk)) {
      this.#chunk++
      this.#at = 0
    }
    if (this.#chunk > this.#endChunk || (this.#chunk === this.#endChunk && this.#at >= this.#endAt)) return -1
    const ids = this.#order.sortedChunk(this.#chunk)
    this.#epoch = this.#order.epoch
    this.#last = ids[this.#at++]!
    return this.#last
  }

  #nextDown(): number {
    while (this.#chunk > this.#endChunk && this.#at === 0) {
      this.#chunk--
      this.#at = this.#order.chunkLength(this.#chunk)
    }
    if (this.#chunk < this.#endChunk || (this.#chunk === this.#endChunk && this.#at <= this.#endAt)) return -1
    const ids = this.#order.sortedChunk(this.#chunk)
    this.#epoch = this.#order.epoch
    this.#last = ids[--this.#at]!
    return this.#last
  }

  /** Upwards from the first key of what is left to its end; downwards the same range from its end. */
  #locate(): void {
    const order = this.#order
    const lastKey = this.#last === -1 ? undefined : this.#records.keyBytes(this.#last)
    const from = this.#reverse ? this.#range.from : (lastKey ?? this.#range.from)
    const to = this.#reverse ? (lastKey ?? this.#range.to) : this.#range.to
    const firstChunk = order.chunkOf(from)
    const firstAt = order.countBelow(firstChunk, from) + (!this.#reverse && lastKey !== undefined ? 1 : 0)
    const endChunk = to === undefined ? order.chunkCount - 1 : order.chunkOf(to)
    const endAt = to === undefined ? order.chunkLength(endChunk) : order.countBelow(endChunk, to)
    this.#chunk = this.#reverse ? endChunk : firstChunk
    this.#at = this.#reverse ? endAt : firstAt
    this.#endChunk = this.#reverse ? firstChunk : endChunk
    this.#endAt = this.#reverse ? firstAt : endAt
    this.#epoch = order.epoch
  }
}

/** Entry numbers that were collected and sorted beforehand. */
export class ListScan implements IdScan {
  readonly #ids: Uint32Array
  #at = 0

  constructor(ids: Uint32Array, reverse: boolean) {
    this.#ids = reverse ? ids.reverse() : ids
  }

  next(): number {
    return this.#at < this.#ids.length ? this.#ids[this.#at++]! : -1
  }
}

/** Every entry number below `limit`: about the order in which the keys first came. */
export class ArrivalScan implements IdScan {
  readonly #limit: number
  #next = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  next(): number {
    return this.#next < this.#limit ? this.#next++ : -1
  }
}
