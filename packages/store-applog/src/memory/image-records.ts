import type { RecordSource, RecordTable } from './record-table.ts'

interface Saved {
  readonly bytes: Buffer
  readonly at: number
}

const ABSENT: Saved = { bytes: Buffer.alloc(0), at: 0 }

/**
 * The records of a fold at one moment: those of the table, but for entries that changed since, whose
 * record of then is remembered. A remembered record holds on to its segment, which never changes, so
 * garbage may be given back meanwhile.
 */
export class ImageRecords implements RecordSource {
  bytes: Buffer = ABSENT.bytes
  at = 0
  /** Entries from here on came later. */
  readonly limit: number
  readonly #table: RecordTable
  readonly #saved = new Map<number, Saved>()

  constructor(table: RecordTable) {
    this.#table = table
    this.limit = table.limit
  }

  /** Call before entry `id` gets another record. */
  save(id: number): void {
    if (id >= this.limit || this.#saved.has(id)) return
    const table = this.#table
    this.#saved.set(id, table.locate(id) ? { bytes: table.bytes, at: table.at } : ABSENT)
  }

  /** Call when the number `id` is given to a new key. */
  saveAbsent(id: number): void {
    if (id < this.limit && !this.#saved.has(id)) this.#saved.set(id, ABSENT)
  }

  locate(id: number): boolean {
    if (id >= this.limit) return false
    const saved = this.#saved.size === 0 ? undefined : this.#saved.get(id)
    if (saved === undefined) {
      if (!this.#table.locate(id)) return false
      this.bytes = this.#table.bytes
      this.at = this.#table.at
      return true
    }
    this.bytes = saved.bytes
    this.at = saved.at
    return saved !== ABSENT
  }
}
