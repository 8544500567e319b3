import { SnapshotError, type WaitOptions, type WatchCursor } from '@slip/kv-core'
import { readLog } from './append-log-reader.ts'
import { nodeFileSystem, type FileSystem } from '@slip/kv-core/store-parts'
import type { Generation } from './log-header.ts'

/** What every byte of a log says. */
export interface AppendLogVerdict {
  readonly verdict: 'intact' | 'torn' | 'corrupt' | 'foreign' | 'missing'
  /** Where the damage or the unfinished write begins; where an intact log ends. */
  readonly at?: number
  /** Size of the file. */
  readonly bytes?: number
  readonly generation?: Generation
  /** Of the valid part; absent where there is none. */
  readonly entries?: number
  readonly cursor?: WatchCursor
}

/** Reads a whole log without its lock and without changing it. SnapshotError `Io` when it cannot be read. */
export async function verifyAppendLog(
  path: string,
  options: WaitOptions = {},
  files: FileSystem = nodeFileSystem,
): Promise<AppendLogVerdict> {
  try {
    const { verdict, size, generation, fold, cursor } = await readLog(files, path, options.signal)
    const found = {
      verdict: verdict.verdict,
      at: verdict.at,
      bytes: size,
      ...(generation === undefined ? {} : { generation }),
    }
    return verdict.verdict === 'corrupt' ? found : { ...found, entries: fold.entriesCount, cursor }
  } catch (error) {
    if (!SnapshotError.is(error)) throw error
    if (error.code === 'NotFound') return { verdict: 'missing' }
    if (error.code !== 'InvalidFormat' && error.code !== 'Corrupted') throw error
    const at = error.at ?? 0
    const { size } = await files.stat(path)
    return { verdict: error.code === 'InvalidFormat' && at === 0 ? 'foreign' : 'corrupt', at, bytes: size }
  }
}
