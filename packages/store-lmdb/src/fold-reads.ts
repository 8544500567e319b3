import {
  SnapshotError,
  type FoldReader,
  type KvEntry,
  type ListedKey,
  type RangeOptions,
  type WatchCursor,
} from '@slip/kv-core'
import { readError } from './environment.ts'
import type { FoldCut } from './fold-cut.ts'
import { readEntry, readRecord, recordIsIntact, sealOf } from './fold-record.ts'
import { FoldScan, namesOf, type ScanOf } from './fold-scan.ts'
import { storedKey, type StoredKey } from './stored-key.ts'

const encoder = new TextEncoder()

const entriesOf: ScanOf<KvEntry> = {
  values: true,
  read: (bytes, length, stored) => readEntry(bytes!, length, stored),
}

const removalsOf: ScanOf<ListedKey> = {
  values: true,
  read: (bytes, length, stored) => {
    const { version, longKey } = readRecord(bytes!, length, stored)
    return { key: longKey ?? (stored as string), version }
  },
}

/** The synchronous reads of whatever says which cut they go to. */
export abstract class FoldReads implements FoldReader {
  /** Throws when there is nothing to read from any more. */
  protected abstract cut(): FoldCut
  /** Whether each record's checksum is looked at. */
  protected abstract readonly verifyReads: boolean

  get cursor(): WatchCursor {
    return this.cut().state.cursor
  }

  get(key: string): KvEntry | undefined {
    return this.#entry(this.cut(), key)
  }

  getMany(keys: readonly string[]): (KvEntry | undefined)[] {
    const cut = this.cut()
    return keys.map((key) => this.#entry(cut, key))
  }

  has(key: string): boolean {
    const cut = this.cut()
    const stored = storedKey(key)
    return stored !== undefined && bytesOf(cut, stored) !== undefined
  }

  range(prefix: string, options: RangeOptions = {}): KvEntry[] {
    return [...this.entries(prefix, options)]
  }

  entries(prefix = '', options: RangeOptions = {}): IterableIterator<KvEntry> {
    const cut = this.cut()
    return new FoldScan(cut, cut.data, this.verifyReads ? checkedEntriesOf(cut) : entriesOf, prefix, options)
  }

  keys(prefix = '', options: RangeOptions = {}): IterableIterator<string> {
    const cut = this.cut()
    return new FoldScan(cut, cut.data, namesOf, prefix, options)
  }

  /** Names whose last update was a removal, in key-byte order. */
  deletedKeys(prefix = ''): IterableIterator<ListedKey> {
    const cut = this.cut()
    return new FoldScan(cut, cut.deleted, removalsOf, prefix, {})
  }

  /**
   * Calls `fn` with the value and the version of `key` as they are in the library's buffer, without
   * copying: valid inside `fn` only, which must not read from any fold. undefined when there is none.
   */
  read<R>(key: string, fn: (value: Uint8Array, version: Uint8Array) => R): R | undefined {
    const cut = this.cut()
    const stored = storedKey(key)
    if (stored === undefined) return undefined
    const bytes = bytesOf(cut, stored)
    if (bytes === undefined) return undefined
    const { lastSize } = cut.data
    if (this.verifyReads) mustBeIntact(bytes, lastSize, stored, sealOf(cut.state))
    const { version, valueAt } = readRecord(bytes, lastSize, stored)
    const value = new Uint8Array(bytes.buffer, bytes.byteOffset + valueAt, lastSize - valueAt)
    return fn(value, version.toBytes())
  }

  /** The entry with the lowest key that is not below `key`. */
  firstAtOrAfter(key: string): KvEntry | undefined {
    const [first] = this.range('', { gte: key, limit: 1 })
    return first
  }

  /** Reads the pages of `keys` in another thread, so that reading them does not wait for the disk. */
  async prefetch(keys: readonly string[]): Promise<void> {
    const cut = this.cut().retain()
    try {
      const stored = keys.map(storedKey).filter((key) => key !== undefined)
      if (stored.length > 0) await cut.data.prefetch(stored)
    } catch (error) {
      throw readError(error, cut.file)
    } finally {
      cut.release()
    }
  }

  #entry(cut: FoldCut, key: string): KvEntry | undefined {
    const stored = storedKey(key)
    if (stored === undefined) return undefined
    const { data } = cut
    const bytes = bytesOf(cut, stored)
    if (bytes === undefined) return undefined
    if (this.verifyReads) mustBeIntact(bytes, data.lastSize, stored, sealOf(cut.state))
    return readEntry(bytes, data.lastSize, stored)
  }
}

/** Of an entry's record `data.lastSize` bytes, in the library's own buffer. */
function bytesOf({ data, options, file }: FoldCut, stored: StoredKey): Uint8Array | undefined {
  try {
    return data.getBinaryFast(stored, options)
  } catch (error) {
    throw readError(error, file)
  }
}

function checkedEntriesOf(cut: FoldCut): ScanOf<KvEntry> {
  const seal = sealOf(cut.state)
  return {
    values: true,
    read: (bytes, length, stored) => {
      mustBeIntact(bytes!, length, stored, seal)
      return readEntry(bytes!, length, stored)
    },
  }
}

function mustBeIntact(bytes: Uint8Array, length: number, stored: StoredKey, seal: number): void {
  const key = typeof stored === 'string' ? encoder.encode(stored) : stored
  if (!recordIsIntact(bytes, length, key, seal))
    throw new SnapshotError(
      'Corrupted',
      `a record fails its checksum: ${JSON.stringify(Buffer.from(key).toString())}`,
    )
}
