import { SnapshotError, type KvEntry, type ListedKey, type RangeOptions } from '@slip/kv-core'
import { getEntry, hasEntry, rangeEntries, type FoldReads } from './fold-reads.ts'
import { ArrivalScan, type IdScan } from './id-scan.ts'
import type { KeyDirectory } from './key-directory.ts'
import { keyRange, rangeLimit } from '@slip/kv-core/store-parts'
import { Listing, listedDeletedKeys, listedEntries, listedKeys, type ListingOf } from './listing.ts'
import type { ImageRecords } from './image-records.ts'
import { RecordWalk } from './record-walk.ts'

/** What was true when an image was taken. */
export interface ImageFacts {
  readonly entriesCount: number
  readonly deletedCount: number
  readonly keepDeleted: boolean
}

/** A fold as it was at one moment. Reads after `close` throw SnapshotError `ViewExpired`. */
export class FoldImage implements FoldReads {
  readonly entriesCount: number
  readonly deletedCount: number
  readonly #keepDeleted: boolean
  readonly #directory: KeyDirectory
  readonly #records: ImageRecords
  readonly #onClose: () => void
  #closed = false

  constructor(directory: KeyDirectory, records: ImageRecords, facts: ImageFacts, onClose: () => void) {
    this.#directory = directory
    this.#records = records
    this.entriesCount = facts.entriesCount
    this.deletedCount = facts.deletedCount
    this.#keepDeleted = facts.keepDeleted
    this.#onClose = onClose
  }

  /** The records of the image. SnapshotError `ViewExpired` after `close`. */
  get source(): ImageRecords {
    this.#mustBeOpen()
    return this.#records
  }

  get(key: string): KvEntry | undefined {
    return getEntry(this.#directory, this.source, key)
  }

  has(key: string): boolean {
    return hasEntry(this.#directory, this.source, key)
  }

  getMany(keys: readonly string[]): (KvEntry | undefined)[] {
    const { source } = this
    return keys.map((key) => getEntry(this.#directory, source, key))
  }

  range(prefix: string, options: RangeOptions = {}): KvEntry[] {
    return rangeEntries(this.#directory, this.source, prefix, options)
  }

  entries(prefix = '', options: RangeOptions = {}): IterableIterator<KvEntry> {
    return this.list(listedEntries, prefix, options, false)
  }

  keys(prefix = '', options: RangeOptions = {}): IterableIterator<string> {
    return this.list(listedKeys, prefix, options, false)
  }

  deletedKeys(prefix = ''): IterableIterator<ListedKey> {
    return this.list(listedDeletedKeys, prefix, this.#keepDeleted ? {} : { limit: 0 }, false)
  }

  /** Lists lazily; with `closes` the image ends with the listing. */
  list<T>(what: ListingOf<T>, prefix: string, options: RangeOptions, closes: boolean): Listing<T> {
    this.#mustBeOpen()
    const limit = rangeLimit(options)
    const scan = this.#directory.scan(keyRange(prefix, options), options.reverse ?? false)
    return new Listing(this, scan, { ...what, limit, closes })
  }

  /** Every live key and kept removal, about in the order of arrival. */
  liveRecords(closes = false): RecordWalk {
    return this.#walk(new ArrivalScan(this.source.limit), this.#keepDeleted, closes)
  }

  /** The live keys alone, in key-byte order. */
  orderedRecords(closes = false): RecordWalk {
    this.#mustBeOpen()
    const scan = this.#directory.scan(keyRange('', {}), false)
    return this.#walk(scan, false, closes)
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#onClose()
  }

  #mustBeOpen(): void {
    if (this.#closed) throw new SnapshotError('ViewExpired', 'this view of the fold is closed')
  }

  #walk(scan: IdScan, removals: boolean, closes: boolean): RecordWalk {
    return new RecordWalk(this, scan, removals, closes)
  }
}
