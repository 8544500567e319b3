import {
  recordKeyAt,
  recordKeyBytes,
  RecordFault,
  recordKeyIsUtf8,
  recordLengthOf,
  recordShape,
} from '../record.ts'
import type { KeyHash } from './key-hash.ts'

const MOST_RECORDS = 256
/** Reading and indexing a run takes a fraction of a slice, also while the code is not compiled yet. */
const ENOUGH_BYTES = 64 * 1024

/** Records that lie end to end, measured and hashed in one pass before the index is asked for any. */
export class RecordRun {
  readonly lengths: Uint32Array = new Uint32Array(MOST_RECORDS)
  readonly hashes: Uint32Array = new Uint32Array(MOST_RECORDS)
  count = 0
  /** Where the first record begins. */
  from = 0
  /** Where the last one ends. */
  to = 0

  /**
   * Takes up to 256 records of `bytes[from, to)`, about 64 KiB of them; the offset behind the last. With
   * `check` each must be a valid record: otherwise the (negative) `RecordFault`. Without `hash`
   * there are no hashes.
   */
  read(bytes: Uint8Array, from: number, to: number, hash: KeyHash | undefined, check: boolean): number {
    const end = Math.min(to, from + ENOUGH_BYTES)
    let at = from
    let count = 0
    while (at < end && count < MOST_RECORDS) {
      const length = check ? recordShape(bytes, at, to) : recordLengthOf(bytes, at)
      if (length < 0) return length
      if (hash !== undefined) {
        const keyAt = recordKeyAt(bytes, at)
        this.hashes[count] = hash.of(bytes, keyAt, keyAt + recordKeyBytes(bytes, at))
      }
      if (check && !(hash?.wasAscii ?? false) && !recordKeyIsUtf8(bytes, at)) return RecordFault.key
      this.lengths[count++] = length
      at += length
    }
    this.from = from
    this.to = at
    this.count = count
    return at
  }

  /** How many records from the one at `first` on fit into `room` bytes together, and at least one. */
  fitting(first: number, room: number): { readonly next: number; readonly bytes: number } {
    let bytes = this.lengths[first]!
    let next = first + 1
    while (next < this.count && bytes + this.lengths[next]! <= room) bytes += this.lengths[next++]!
    return { next, bytes }
  }
}
