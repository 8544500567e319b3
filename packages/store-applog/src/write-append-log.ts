import type { WaitOptions } from '@slip/kv-core'
import {
  canonicalPath,
  nodeFileSystem,
  updatesOf,
  type FileSystem,
  type FoldSource,
} from '@slip/kv-core/store-parts'
import type { Generation } from './log-header.ts'
import { writeLog } from './new-log.ts'

/**
 * Writes a fold as a new log in its compacted form; with `format: 2` byte for byte as the Rust system
 * would. Generation 2 keeps neither lineage nor the names of deleted keys. SnapshotError
 * `AlreadyExists` when there is a file, `LimitExceeded` for what the format cannot hold; a failure
 * leaves no file.
 */
export async function writeAppendLog(
  path: string,
  source: FoldSource,
  options: { readonly format?: Generation } & WaitOptions = {},
  files: FileSystem = nodeFileSystem,
): Promise<{ readonly entries: number; readonly bytes: number }> {
  const { format = 3, ...wait } = options
  const target = await canonicalPath(files, path, true)
  const { cursor, lineage } = source
  const kept: FoldSource = format === 3 ? source : { cursor, lineage, entries: () => source.entries() }
  const { puts, bytes } = await writeLog(files, target, format, updatesOf(kept, wait), wait)
  return { entries: puts, bytes }
}
