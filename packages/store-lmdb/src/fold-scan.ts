import { compareKeys, SnapshotError, type RangeOptions } from '@slip/kv-core'
import { rangeLimit } from '@slip/kv-core/store-parts'
import { readError } from './environment.ts'
import type { CutUser, FoldCut } from './fold-cut.ts'
import { readRecord } from './fold-record.ts'
import type { FoldDatabase } from './layered-database.ts'
import type { LmdbCursor, LmdbKey, LmdbRange } from './lmdb-js.js'
import { sameGroup } from './stored-key.ts'
import { storedRange } from './stored-range.ts'

/** What a scan makes of one record; `bytes[0, length)` is valid during the call only. */
export interface ScanOf<T extends { readonly key: string } | string> {
  /** Whether it needs the records of plain keys. */
  readonly values: boolean
  read(bytes: Uint8Array | undefined, length: number, stored: LmdbKey): T
}

type Scanned = { readonly key: string } | string

/** Gives the cursor and the transaction of a scan that nobody holds any more back. */
const abandoned = new FinalizationRegistry<ScanCursor>((cursor) => cursor.finish())

/** Walks the keys of one database of a cut in key-byte order. */
export class FoldScan<T extends Scanned> implements IterableIterator<T> {
  readonly #cursor: ScanCursor | undefined
  readonly #of: ScanOf<T>
  readonly #includes: ((key: string) => boolean) | undefined
  readonly #reverse: boolean
  #left: number
  /** Long keys that share the bytes that order them, in order, the next one last. */
  #group: LongName[] = []
  /** Met behind a group. */
  #ahead: Found<T> | undefined

  constructor(cut: FoldCut, database: FoldDatabase, of: ScanOf<T>, prefix: string, options: RangeOptions) {
    const range = storedRange(prefix, options)
    this.#left = rangeLimit(options)
    this.#of = of
    this.#includes = range?.includes
    this.#reverse = options.reverse === true
    if (range === undefined || this.#left === 0) return
    const bounds = this.#reverse
      ? { start: range.to, end: range.from, exclusiveStart: true, inclusiveEnd: true }
      : { start: range.from, end: range.to }
    const { transaction } = cut.options
    const request = { ...bounds, transaction, reverse: this.#reverse, values: of.values }
    this.#cursor = new ScanCursor(cut, database, begun(cut, database, request))
    abandoned.register(this, this.#cursor, this)
  }

  next(): IteratorResult<T, undefined> {
    while (this.#left > 0) {
      const item = this.#ofGroup() ?? this.#step()
      if (item === undefined) break
      if (this.#includes?.(keyOf(item)) === false) continue
      if (--this.#left === 0) this.return()
      return { done: false, value: item }
    }
    return this.return()
  }

  return(): IteratorReturnResult<undefined> {
    this.#left = 0
    this.#group = []
    if (this.#cursor !== undefined) {
      abandoned.unregister(this)
      this.#cursor.finish()
    }
    return { done: true, value: undefined }
  }

  [Symbol.iterator](): this {
    return this
  }

  #step(): T | undefined {
    const found = this.#ahead ?? this.#cursor?.next(this.#of)
    this.#ahead = undefined
    if (found === undefined || 'item' in found) return found?.item
    // Only the names: what they stand for is read when it is their turn.
    const group = [found]
    for (;;) {
      const more = this.#cursor!.next(this.#of)
      if (more === undefined) break
      if ('item' in more || !sameGroup(more.stored, found.stored)) {
        this.#ahead = more
        break
      }
      group.push(more)
    }
    const direction = this.#reverse ? 1 : -1
    this.#group = group.sort((a, b) => direction * compareKeys(a.name, b.name))
    return this.#ofGroup()
  }

  #ofGroup(): T | undefined {
    const next = this.#group.pop()
    return next === undefined ? undefined : this.#cursor!.load(next.stored, this.#of)
  }
}

/** A key that is stored as a hash. */
interface LongName {
  readonly stored: Uint8Array
  readonly name: string
}

type Found<T> = LongName | { readonly item: T }

/** The native half of a scan, which must not outlive its cut. */
class ScanCursor implements CutUser {
  readonly #cut: FoldCut
  readonly #database: FoldDatabase
  readonly #native: LmdbCursor
  #finished = false

  constructor(cut: FoldCut, database: FoldDatabase, native: LmdbCursor) {
    this.#cut = cut.retain()
    this.#database = database
    this.#native = native
    cut.register(this)
  }

  /** What is next; undefined at the end. */
  next<T extends Scanned>(of: ScanOf<T>): Found<T> | undefined {
    this.#mustBeOpen()
    if (this.#finished) return undefined
    const { done, value } = this.#step()
    if (done === true) return undefined
    const [stored, bytes] =
      typeof value === 'object' && 'value' in value ? [value.key, value.value] : [value, undefined]
    if (typeof stored === 'string') return { item: of.read(bytes, bytes?.length ?? 0, stored) }
    if (bytes !== undefined) return { stored, name: nameOf(bytes, bytes.length, stored) }
    return { stored, name: this.load(stored, namesOf) }
  }

  /** Reads one record by its stored key. */
  load<T extends Scanned>(stored: Uint8Array, of: ScanOf<T>): T {
    this.#mustBeOpen()
    return of.read(this.#bytesOf(stored), this.#database.lastSize, stored)
  }

  #step(): ReturnType<LmdbCursor['next']> {
    try {
      return this.#native.next()
    } catch (error) {
      throw readError(error, this.#cut.file)
    }
  }

  #bytesOf(stored: Uint8Array): Uint8Array {
    const { file, options } = this.#cut
    try {
      const bytes = this.#database.getBinaryFast(stored, options)
      if (bytes !== undefined) return bytes
    } catch (error) {
      throw readError(error, file)
    }
    throw new SnapshotError('Corrupted', `${file} lists a key that it does not have`, { path: file })
  }

  #mustBeOpen(): void {
    if (!this.#cut.isOpen)
      throw new SnapshotError('ViewExpired', 'what was read from was closed, or its deadline has passed')
  }

  /** Idempotent. */
  finish(): void {
    if (this.#finished) return
    this.stop()
    this.#cut.unregister(this)
    this.#cut.release()
  }

  stop(): void {
    if (this.#finished) return
    this.#finished = true
    this.#native.return()
  }
}

function begun(cut: FoldCut, database: FoldDatabase, request: LmdbRange): LmdbCursor {
  try {
    return database.getRange(request).iterate()
  } catch (error) {
    throw readError(error, cut.file)
  }
}

/** Names only: a record is looked at where the stored key is a hash. */
export const namesOf: ScanOf<string> = { values: false, read: nameOf }

function nameOf(bytes: Uint8Array | undefined, length: number, stored: LmdbKey): string {
  if (typeof stored === 'string') return stored
  return readRecord(bytes ?? new Uint8Array(0), bytes === undefined ? 0 : length, stored).longKey!
}

function keyOf(item: Scanned): string {
  return typeof item === 'string' ? item : item.key
}
