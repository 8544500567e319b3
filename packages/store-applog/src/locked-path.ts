import { SnapshotError, type WaitOptions } from '@slip/kv-core'
import { systemCode, WriterLock, type FileSystem } from '@slip/kv-core/store-parts'
import type { AppendLogOptions } from './append-log-options.ts'
import { asIo } from './log-file.ts'
import { canonicalPath, removeLeftovers } from './log-path.ts'

/** Runs `work` with the one path of a log, under its lock, after what a crash left beside it was removed. */
export async function withLockedPath<T>(
  files: FileSystem,
  options: AppendLogOptions,
  wait: WaitOptions,
  work: (path: string) => Promise<T>,
): Promise<T> {
  let path = options.path
  let lock: WriterLock | undefined
  try {
    path = await canonicalPath(files, options.path, true)
    lock = await WriterLock.take(files, path, { waitLockMs: options.waitLockMs, signal: wait.signal })
    await removeLeftovers(files, path)
    return await work(path)
  } catch (error) {
    if (wait.signal?.aborted === true && error === wait.signal.reason) throw error
    throw asIo(error, 'making or setting aside of a log', path)
  } finally {
    await lock?.release()
  }
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
