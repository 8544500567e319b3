import { basename, dirname, join, resolve } from 'node:path'
import { systemCode, type FileSystem } from './file-system.ts'
import { WriterLock, type LockWait } from './writer-lock.ts'

/**
 * The one path of a fold, whatever links lead to it: its lock and its temporary files lie beside that. Makes the
 * directory that it is in, 0700, when `makeAbove`.
 */
export async function canonicalPath(files: FileSystem, path: string, makeAbove: boolean): Promise<string> {
  const absolute = resolve(path)
  if (makeAbove) await files.mkdir(dirname(absolute))
  try {
    return await files.realpath(absolute)
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error
  }
  return join(await files.realpath(dirname(absolute)), basename(absolute))
}

/**
 * Runs `work` with the one path of a fold, under its lock. Rejects with the reason of an abort as it is, and with what
 * `asError` makes of anything else.
 */
export async function withLockedPath<R>(
  files: FileSystem,
  { path: given, waitLockMs, signal }: LockWait & { readonly path: string },
  asError: (error: unknown, path: string) => Error,
  work: (path: string) => Promise<R>,
): Promise<R> {
  let path = given
  let lock: WriterLock | undefined
  try {
    path = await canonicalPath(files, given, true)
    lock = await WriterLock.take(files, path, { waitLockMs, signal })
    return await work(path)
  } catch (error) {
    if (signal?.aborted === true && error === signal.reason) throw error
    throw asError(error, path)
  } finally {
    await lock?.release()
  }
}
