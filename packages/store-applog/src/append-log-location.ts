import { dirname, join } from 'node:path'
import { SnapshotError, type SnapshotLocation, type WaitOptions } from '@slip/kv-core'
import type { AppendLogOptions } from './append-log-options.ts'
import { AppendLogSnapshot, COPY_NAME } from './append-log-snapshot.ts'
import { nodeFileSystem, systemCode, WriterLock, type FileSystem } from '@slip/kv-core/store-parts'
import { damageError, DISCARD, loadLog } from './load-log.ts'
import { asIo, writeFully } from './log-file.ts'
import { removeIfThere } from './log-draft.ts'
import { canonicalPath, DRAFT_SUFFIX, removeLeftovers } from './log-path.ts'

const COPY_STRETCH_BYTES = 1024 * 1024

/** An append log as `follow` and `importSnapshot` take it. */
export function appendLog(options: AppendLogOptions): SnapshotLocation<AppendLogSnapshot> {
  const files = nodeFileSystem
  return {
    backend: 'append-log',
    open: async (wait = {}) => AppendLogSnapshot.open({ ...options, ...wait }),
    exists: async () => exists(files, options.path),
    setAside: async () => setAside(files, options),
    adopt: async (directory, wait = {}) => adopt(files, options, directory, wait),
  }
}

async function exists(files: FileSystem, path: string): Promise<boolean> {
  try {
    await files.stat(path)
    return true
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '')) return false
    throw asIo(error, 'stat', path)
  }
}

/** Renames the log to `PATH.damaged-TIME`, a name that was free, under its lock. */
async function setAside(files: FileSystem, options: AppendLogOptions): Promise<string> {
  return locked(files, options, {}, async (path) => {
    const stamp = new Date().toISOString().replaceAll(/[-:]/g, '').replace('.', '')
    for (let attempt = 0; ; attempt++) {
      const name = `${path}.damaged-${stamp}${attempt === 0 ? '' : `-${attempt}`}`
      if (await exists(files, name)) continue
      try {
        await files.rename(path, name)
      } catch (error) {
        if (systemCode(error) === 'ENOENT')
          throw new SnapshotError('NotFound', `there is no log at ${path}`, { path, cause: error })
        throw error
      }
      await files.syncDirectory(dirname(path))
      return name
    }
  })
}

/** Copies the one payload file of `directory` to the log's path, reads it all, and gives it its name. */
async function adopt(
  files: FileSystem,
  options: AppendLogOptions,
  directory: string,
  wait: WaitOptions,
): Promise<void> {
  await locked(files, options, wait, async (path) => {
    if (await exists(files, path)) throw alreadyExists(path)
    const source = await payloadOf(files, directory)
    const draft = `${path}${DRAFT_SUFFIX.adoption}`
    try {
      await copyAndCheck(files, source, draft, wait.signal)
      await files.link(draft, path)
    } catch (error) {
      if (systemCode(error) === 'EEXIST') throw alreadyExists(path)
      throw error
    } finally {
      await removeIfThere(files, draft).catch(() => undefined)
    }
    await files.syncDirectory(dirname(path))
  })
}

async function payloadOf(files: FileSystem, directory: string): Promise<string> {
  const names = await files.readdir(directory)
  const found = Object.values(COPY_NAME).filter((name) => names.includes(name))
  if (found.length !== 1)
    throw new SnapshotError('InvalidFormat', `${directory} does not hold exactly one log`, {
      path: directory,
      at: 0,
    })
  return join(directory, found[0]!)
}

async function copyAndCheck(
  files: FileSystem,
  from: string,
  to: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const source = await files.open(from, 'read')
  try {
    const { size } = await source.stat()
    const loaded = await loadLog(source, from, () => DISCARD, { size, signal })
    if (loaded.verdict.verdict === 'corrupt') throw damageError(loaded.verdict, from)
    if (loaded.verdict.verdict === 'torn' || loaded.generation === undefined)
      throw new SnapshotError('Corrupted', `${from} is cut short`, { path: from, at: loaded.verdict.at })
    const target = await files.open(to, 'create')
    try {
      const stretch = new Uint8Array(COPY_STRETCH_BYTES)
      for (let at = 0; at < size;) {
        signal?.throwIfAborted()
        const { bytesRead } = await source.read(stretch, 0, Math.min(stretch.length, size - at), at)
        if (bytesRead === 0) throw new SnapshotError('Io', `${from} became shorter`, { path: from })
        await writeFully(target, stretch.subarray(0, bytesRead), at)
        at += bytesRead
      }
      await target.datasync()
    } finally {
      await target.close()
    }
  } finally {
    await source.close()
  }
}

async function locked<T>(
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
    throw asIo(error, 'adoption or setting aside', path)
  } finally {
    await lock?.release()
  }
}

function alreadyExists(path: string): SnapshotError {
  return new SnapshotError('AlreadyExists', `there is a log at ${path} already`, { path })
}
