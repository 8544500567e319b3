import { Slices, type KvEntry, type ListedKey, type RangeOptions } from '@slip/kv-core'
import { recordIsPut, recordLengthOf } from '../record.ts'
import { Arena } from './arena.ts'
import { Evacuation } from './evacuation.ts'
import { FoldImage } from './fold-image.ts'
import { getEntry, hasEntry, rangeEntries, type FoldReads } from './fold-reads.ts'
import { ImageRecords } from './image-records.ts'
import { KeyDirectory } from './key-directory.ts'
import { SipKeyHash, type KeyHash } from './key-hash.ts'
import { listedDeletedKeys, listedEntries, listedKeys } from './listing.ts'
import { RecordRun } from './record-run.ts'
import type { RecordWalk } from './record-walk.ts'

export type { FoldImage } from './fold-image.ts'
export type { FoldReads } from './fold-reads.ts'
export type { RecordWalk } from './record-walk.ts'

const SEGMENT_BYTES = 16 * 1024 * 1024

export interface MemoryFoldOptions {
  /** Whether the names of removed keys are kept, with their versions: what the count audit needs. */
  readonly keepDeleted: boolean
  /** Size of a retained piece of memory, a power of two from 4 KiB to 1 GiB. @default 16 MiB */
  readonly segmentBytes?: number
  /** @default a keyed hash with a random key */
  readonly hash?: KeyHash
}

/**
 * A fold in memory: records in retained segments, found through a flat hash index and through an
 * order of the keys. Call `maintain` after writing, or await `buildOrder` after a load.
 *
 * Until all but the last keys are in order a range read looks at every key (about 0.1 µs each) and
 * sorts what it finds.
 */
export class MemoryFold implements FoldReads {
  /** What runs of records are hashed with. */
  readonly hash: KeyHash
  readonly #keepDeleted: boolean
  readonly #segmentBytes: number
  readonly #run: RecordRun = new RecordRun()
  #arena: Arena
  #directory: KeyDirectory
  #evacuation: Evacuation
  #images = new Set<ImageRecords>()
  /** Removed keys that open images still find by name (only without `keepDeleted`). */
  #toDrop: number[] = []
  #entries = 0
  #deleted = 0
  #liveBytes = 0

  constructor(options: MemoryFoldOptions) {
    this.#keepDeleted = options.keepDeleted
    this.#segmentBytes = options.segmentBytes ?? SEGMENT_BYTES
    this.hash = options.hash ?? new SipKeyHash()
    this.#arena = new Arena(this.#segmentBytes)
    this.#directory = new KeyDirectory(this.#arena, this.hash)
    this.#evacuation = new Evacuation(this.#arena, this.#directory)
  }

  /** Live keys. */
  get entriesCount(): number {
    return this.#entries
  }

  /** Removed keys whose names are kept; 0 without `keepDeleted`. */
  get deletedCount(): number {
    return this.#deleted
  }

  /** Record bytes of live keys and kept removals: what a compacted log holds. */
  get liveBytes(): number {
    return this.#liveBytes
  }

  /** Record bytes held, garbage included. */
  get arenaBytes(): number {
    return this.#arena.usedBytes
  }

  /** Whether garbage is to be given back. */
  get garbageDue(): boolean {
    return this.#evacuation.due
  }

  /** Whether keys wait to be put in order. */
  get orderDue(): boolean {
    return this.#directory.orderDue
  }

  /** Makes room for about `count` keys; only before the first. */
  reserve(count: number): void {
    this.#directory.reserve(count)
  }

  /** Takes over the valid records that lie end to end in `source[from, to)`, in order. */
  putRecords(source: Uint8Array, from: number, to: number): void {
    for (let at = from; at < to;) {
      at = this.#run.read(source, at, to, this.hash, false)
      this.putRun(source, this.#run)
    }
  }

  /** The largest source whose records need not be copied. */
  get mostAdoptedBytes(): number {
    return this.#segmentBytes
  }

  /**
   * Takes over the records of a run of `source`, hashed with `hash`, in order. With `adopt` they are not
   * copied: nobody else writes to `source` any more (see `Arena.adopt`).
   */
  putRun(source: Uint8Array, run: RecordRun, adopt = false): void {
    this.#directory.prefetch(run.hashes, run.count)
    if (adopt) {
      this.#indexRun(run, 0, run.count, this.#arena.adopt(source, run.from, run.to))
      return
    }
    let at = run.from
    for (let i = 0; i < run.count;) {
      const { next, bytes } = run.fitting(i, this.#arena.room)
      this.#indexRun(run, i, next, this.#arena.append(source, at, bytes))
      at += bytes
      i = next
    }
  }

  /** Forgets everything; open views keep what they saw. */
  clear(): void {
    this.#arena = new Arena(this.#segmentBytes)
    this.#directory = new KeyDirectory(this.#arena, this.hash)
    this.#evacuation = new Evacuation(this.#arena, this.#directory)
    this.#images = new Set()
    this.#toDrop = []
    this.#entries = 0
    this.#deleted = 0
    this.#liveBytes = 0
  }

  get(key: string): KvEntry | undefined {
    return getEntry(this.#directory, this.#directory.records, key)
  }

  has(key: string): boolean {
    return hasEntry(this.#directory, this.#directory.records, key)
  }

  getMany(keys: readonly string[]): (KvEntry | undefined)[] {
    return keys.map((key) => this.get(key))
  }

  range(prefix: string, options: RangeOptions = {}): KvEntry[] {
    return rangeEntries(this.#directory, this.#directory.records, prefix, options)
  }

  /** One cut: what is written while it is iterated is not seen. */
  entries(prefix = '', options: RangeOptions = {}): IterableIterator<KvEntry> {
    return this.view().list(listedEntries, prefix, options, true)
  }

  /** One cut, like `entries`. */
  keys(prefix = '', options: RangeOptions = {}): IterableIterator<string> {
    return this.view().list(listedKeys, prefix, options, true)
  }

  /** Names whose last update was a removal; one cut. None without `keepDeleted`. */
  deletedKeys(prefix = ''): IterableIterator<ListedKey> {
    return this.view().list(listedDeletedKeys, prefix, this.#keepDeleted ? {} : { limit: 0 }, true)
  }

  /**
   * Pins the fold as it is. Costs nothing until a pinned key changes; from then on about 100 bytes
   * for each key that changed, and the segment its old record is in.
   */
  view(): FoldImage {
    const images = this.#images
    const records = new ImageRecords(this.#directory.records)
    images.add(records)
    const facts = {
      entriesCount: this.#entries,
      deletedCount: this.#deleted,
      keepDeleted: this.#keepDeleted,
    }
    return new FoldImage(this.#directory, records, facts, () => {
      images.delete(records)
      if (images === this.#images && images.size === 0) this.#dropRemoved()
    })
  }

  /** One cut of every live key and kept removal, about in the order of arrival: what compaction writes. */
  liveRecords(): RecordWalk {
    return this.view().liveRecords(true)
  }

  /** One cut of the live keys alone, in key-byte order. Await `buildOrder()` first. */
  orderedRecords(): RecordWalk {
    return this.view().orderedRecords(true)
  }

  /** Works off garbage and ordering for about `budgetMs`; true when there is more to do. */
  maintain(budgetMs: number): boolean {
    const deadline = performance.now() + budgetMs
    this.#evacuation.runUntil(deadline)
    if (this.orderDue && performance.now() < deadline) this.#directory.orderSome(deadline)
    return this.garbageDue || this.orderDue
  }

  /** Completes the order of the keys in slices of a few milliseconds. */
  async buildOrder(signal?: AbortSignal): Promise<void> {
    const slices = new Slices('applog.order')
    while (this.orderDue) {
      this.#directory.orderSome(performance.now() + 3)
      await slices.pause()
      signal?.throwIfAborted()
    }
    slices.end()
  }

  /** Points the keys of records `[first, next)` of a run, which lie end to end from `address` on, at them. */
  #indexRun(run: RecordRun, first: number, next: number, address: number): void {
    for (let i = first; i < next; i++) {
      this.#index(run.hashes[i]!, address, run.lengths[i]!)
      address += run.lengths[i]!
    }
  }

  /** Points the key of a record that was just appended at it. */
  #index(hash: number, address: number, length: number): void {
    const directory = this.#directory
    const { bytes, base } = this.#arena.segmentAt(address)
    const isPut = recordIsPut(bytes, address - base)
    const counts = isPut || this.#keepDeleted
    const known = directory.findRecord(hash, bytes, address - base)
    if (known !== -1) this.#replace(known, address)
    else if (counts) this.#add(hash, address)
    else this.#arena.supersede(address, length)
    if (counts) this.#count(isPut, length, 1)
    else if (known !== -1) this.#dropLater(hash, known)
  }

  #add(hash: number, address: number): void {
    const id = this.#directory.add(hash, address)
    if (this.#images.size > 0) for (const image of this.#images) image.saveAbsent(id)
  }

  #replace(id: number, address: number): void {
    const { records } = this.#directory
    if (this.#images.size > 0) for (const image of this.#images) image.save(id)
    const old = records.addressOf(id)
    const { bytes, base } = this.#arena.segmentAt(old)
    const length = recordLengthOf(bytes, old - base)
    const wasPut = recordIsPut(bytes, old - base)
    if (wasPut || this.#keepDeleted) this.#count(wasPut, length, -1)
    records.setAddress(id, address)
    this.#arena.supersede(old, length)
  }

  #count(isPut: boolean, length: number, sign: 1 | -1): void {
    this.#liveBytes += sign * length
    if (isPut) this.#entries += sign
    else this.#deleted += sign
  }

  /** Open images find a removed key through its removal record, so it stays as long as they do. */
  #dropLater(hash: number, id: number): void {
    if (this.#images.size > 0) this.#toDrop.push(id)
    else this.#drop(hash, id)
  }

  #drop(hash: number, id: number): void {
    const address = this.#directory.records.addressOf(id)
    const { bytes, base } = this.#arena.segmentAt(address)
    this.#directory.drop(hash, id)
    this.#arena.supersede(address, recordLengthOf(bytes, address - base))
  }

  #dropRemoved(): void {
    const { records } = this.#directory
    for (const id of this.#toDrop)
      if (records.locate(id) && !recordIsPut(records.bytes, records.at))
        this.#drop(this.#directory.hashOf(records.bytes, records.at), id)
    this.#toDrop = []
  }
}
