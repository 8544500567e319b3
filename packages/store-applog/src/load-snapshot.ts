import {
  Slices,
  SnapshotError,
  type KvEntry,
  type Recovery,
  type WaitOptions,
  type WatchCursor,
} from '@slip/kv-core'
import { AppendLogReader } from './append-log-reader.ts'

/** The state of a log in plain objects, for programs that keep their own. */
export interface LoadedSnapshot {
  readonly cursor: WatchCursor
  /** In key-byte order. */
  readonly entries: Map<string, KvEntry>
  /** The unfinished last write that was left out. */
  readonly recovery?: Recovery
}

/**
 * Reads a whole log without its lock and without changing it; undefined when there is none. At most
 * 16.7 million entries fit a Map: `AppendLogReader` has no such limit. SnapshotError `InvalidFormat`,
 * `Corrupted`, `Io`.
 */
export async function loadSnapshot(
  path: string,
  options: WaitOptions = {},
): Promise<LoadedSnapshot | undefined> {
  const reader = await AppendLogReader.open({ path, ...options }).catch((error: unknown) => {
    if (SnapshotError.is(error) && error.code === 'NotFound') return undefined
    throw error
  })
  if (reader === undefined) return undefined
  const slices = new Slices('applog.load')
  const entries = new Map<string, KvEntry>()
  for (const entry of reader.entries()) {
    entries.set(entry.key, entry)
    if ((entries.size & 63) === 0 && slices.due()) {
      await slices.pause()
      options.signal?.throwIfAborted()
    }
  }
  slices.end()
  const { cursor, recovery } = reader
  await reader.close()
  return { cursor, entries, ...(recovery === undefined ? {} : { recovery }) }
}
