import type { KvEntry, ListedKey } from '@slip/kv-core'
import { BLOCK, readBlock, readEntry, readVersion, type ReadRecord } from './entry-reader.ts'
import type { IdScan } from './id-scan.ts'
import type { RecordSource } from './record-table.ts'

/** An image that a listing reads and closes when it ends. */
export interface ListedImage {
  /** SnapshotError `ViewExpired` after `close`. */
  readonly source: RecordSource
  close(): void
}

/** A listing that was dropped half-way must not keep its image open for good. */
const abandoned = new FinalizationRegistry<ListedImage>((image) => image.close())

/** Lists a range of an image lazily, block by block. */
export class Listing<T> implements IterableIterator<T> {
  readonly #image: ListedImage
  readonly #scan: IdScan
  readonly #puts: boolean
  readonly #read: ReadRecord<T>
  readonly #closes: boolean
  #left: number
  #block: T[] = []
  #at = 0

  /** With `closes` the image ends with the listing. */
  constructor(
    image: ListedImage,
    scan: IdScan,
    listed: { puts: boolean; limit: number; read: ReadRecord<T>; closes: boolean },
  ) {
    this.#image = image
    this.#scan = scan
    this.#puts = listed.puts
    this.#left = listed.limit
    this.#read = listed.read
    this.#closes = listed.closes
    if (this.#closes) abandoned.register(this, image, this)
  }

  next(): IteratorResult<T> {
    if (this.#at === this.#block.length && !this.#fill()) return { done: true, value: undefined }
    return { done: false, value: this.#block[this.#at++]! }
  }

  return(): IteratorResult<T> {
    this.#left = 0
    this.#at = 0
    this.#block = []
    this.#end()
    return { done: true, value: undefined }
  }

  [Symbol.iterator](): this {
    return this
  }

  #fill(): boolean {
    if (this.#left === 0) {
      this.#end()
      return false
    }
    this.#block = []
    this.#at = 0
    const most = Math.min(BLOCK, this.#left)
    const more = readBlock(this.#scan, this.#image.source, this.#puts, most, this.#read, this.#block)
    this.#left = more ? this.#left - this.#block.length : 0
    if (this.#left === 0) this.#end()
    return this.#block.length > 0
  }

  #end(): void {
    if (!this.#closes) return
    abandoned.unregister(this)
    this.#image.close()
  }
}

/** What a listing is about. */
export interface ListingOf<T> {
  /** Live keys, or the names of removed ones. */
  readonly puts: boolean
  readonly read: ReadRecord<T>
}

export const listedEntries: ListingOf<KvEntry> = { puts: true, read: readEntry }
export const listedKeys: ListingOf<string> = { puts: true, read: (_bytes, _at, key) => key }
export const listedDeletedKeys: ListingOf<ListedKey> = {
  puts: false,
  read: (bytes, at, key) => ({ key, version: readVersion(bytes, at) }),
}
