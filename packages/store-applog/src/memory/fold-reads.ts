import type { FoldReader, KvEntry, RangeOptions } from '@slip/kv-core'
import { recordIsPut } from '../record.ts'
import { BLOCK, readBlock, readEntry } from './entry-reader.ts'
import type { KeyDirectory } from './key-directory.ts'
import { keyRange, rangeLimit } from '@slip/kv-core/store-parts'
import type { RecordSource } from './record-table.ts'

/** The synchronous reads of a fold, without the cursor, which the owner of the fold keeps. */
export type FoldReads = Omit<FoldReader, 'cursor'>

/** The live entry with this key, as `source` sees it. */
export function getEntry(directory: KeyDirectory, source: RecordSource, key: string): KvEntry | undefined {
  const id = directory.find(key)
  return id !== -1 && source.locate(id) && recordIsPut(source.bytes, source.at)
    ? readEntry(source.bytes, source.at, key)
    : undefined
}

export function hasEntry(directory: KeyDirectory, source: RecordSource, key: string): boolean {
  const id = directory.find(key)
  return id !== -1 && source.locate(id) && recordIsPut(source.bytes, source.at)
}

/** The live entries of a range, as `source` sees them. */
export function rangeEntries(
  directory: KeyDirectory,
  source: RecordSource,
  prefix: string,
  options: RangeOptions,
): KvEntry[] {
  let left = rangeLimit(options)
  const entries: KvEntry[] = []
  const range = keyRange(prefix, options)
  if (left === 0) return entries
  const scan = directory.scan(range, options.reverse ?? false)
  let more = true
  while (more && left > 0) {
    const before = entries.length
    more = readBlock(scan, source, true, Math.min(BLOCK, left), readEntry, entries)
    left -= entries.length - before
  }
  return entries
}
