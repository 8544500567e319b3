import { SnapshotError, type WaitOptions } from '@slip/kv-core'
import { systemCode, withLockedPath, type FileSystem } from '@slip/kv-core/store-parts'
import type { AppendLogOptions } from './append-log-options.ts'
import { asIo } from './log-file.ts'
import { removeLeftovers } from './log-path.ts'

/** Runs `work` with the one path of a log, under its lock, after what a crash left beside it was removed. */
export async function withLockedLog<R>(
  files: FileSystem,
  { path, waitLockMs }: AppendLogOptions,
  { signal }: WaitOptions,
  work: (path: string) => Promise<R>,
): Promise<R> {
  const asError = (error: unknown, at: string): SnapshotError =>
    asIo(error, 'making or setting aside of a log', at)
  return withLockedPath(files, { path, waitLockMs, signal }, asError, async (at) => {
    await removeLeftovers(files, at)
    return work(at)
  })
}

/** Whether there is anything at the path. */
export async function isThere(files: FileSystem, path: string): Promise<boolean> {
  try {
    await files.stat(path)
    return true
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '')) return false
    throw asIo(error, 'stat', path)
  }
}

export function alreadyExists(path: string): SnapshotError {
  return new SnapshotError('AlreadyExists', `there is a file at ${path} already`, { path })
}
