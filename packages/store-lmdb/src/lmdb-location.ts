import { copyFile, mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { SnapshotError, type SnapshotLocation, type WaitOptions } from '@slip/kv-core'
import { nodeFileSystem, systemCode, WriterLock } from '@slip/kv-core/store-parts'
import { checkFile } from './file-check.ts'
import { canonicalDirectory, isOccupied, writeCurrent } from './fold-directory.ts'
import type { LmdbOptions } from './lmdb-options.ts'
import { COPY_NAME, LmdbSnapshot } from './lmdb-snapshot.ts'
import { asIo } from './io-error.ts'
import { syncFile } from './sync-file.ts'

const ADOPTED_NAME = 'fold-00000001.mdb'

/** A fold in LMDB as `follow` and `importSnapshot` take it. */
export function lmdb(options: LmdbOptions): SnapshotLocation<LmdbSnapshot> {
  return {
    backend: 'lmdb',
    open: async (wait = {}) => LmdbSnapshot.open({ ...options, ...wait }),
    exists: async () =>
      isOccupied(options.path).catch((error: unknown) => {
        throw asIo(error, 'looking at', options.path)
      }),
    setAside: async () => setAside(options),
    adopt: async (directory, wait = {}) => adopt(options, directory, wait),
  }
}

/** Renames what is there to `PATH.damaged-TIME`, a name that was free, under its lock. */
async function setAside(options: LmdbOptions): Promise<string> {
  return locked(options, {}, async (path) => {
    const facts = await stat(path).catch((cause: unknown) => {
      throw systemCode(cause) === 'ENOENT' ? notFound(path, cause) : cause
    })
    const stamp = new Date().toISOString().replaceAll(/[-:]/g, '').replace('.', '')
    for (let attempt = 0; ; attempt++) {
      const name = `${path}.damaged-${stamp}${attempt === 0 ? '' : `-${attempt}`}`
      try {
        // Claims the name: a directory may be renamed over an empty one, and a file over a file.
        if (facts.isDirectory()) await mkdir(name, { mode: 0o700 })
        else await writeFile(name, '', { flag: 'wx', mode: 0o600 })
      } catch (error) {
        if (systemCode(error) === 'EEXIST') continue
        throw error
      }
      try {
        await rename(path, name)
      } catch (error) {
        await rm(name, { recursive: true, force: true })
        throw systemCode(error) === 'ENOENT' ? notFound(path, error) : error
      }
      await nodeFileSystem.syncDirectory(dirname(path))
      return name
    }
  })
}

/** Copies the payload beside the fold's path, reads every page and record of it, and gives it its name. */
async function adopt(options: LmdbOptions, payload: string, wait: WaitOptions): Promise<void> {
  await locked(options, wait, async (path) => {
    if (await isOccupied(path)) throw alreadyExists(path)
    const names = await readdir(payload)
    if (!names.includes(COPY_NAME))
      throw new SnapshotError('InvalidFormat', `${payload} does not hold ${COPY_NAME}`, {
        path: payload,
        at: 0,
      })
    const draft = `${path}.adopting`
    await rm(draft, { recursive: true, force: true })
    try {
      await mkdir(draft, { mode: 0o700 })
      const file = join(draft, ADOPTED_NAME)
      await copyFile(join(payload, COPY_NAME), file)
      const state = await checkFile(file, 'records', { signal: wait.signal })
      await syncFile(file)
      await writeCurrent(draft, { name: ADOPTED_NAME, foldId: state.foldId })
      await rename(draft, path)
    } catch (error) {
      if (['ENOTEMPTY', 'EEXIST'].includes(systemCode(error) ?? '')) throw alreadyExists(path)
      throw error
    } finally {
      await rm(draft, { recursive: true, force: true })
    }
    await nodeFileSystem.syncDirectory(dirname(path))
  })
}

async function locked<T>(
  options: LmdbOptions,
  wait: WaitOptions,
  work: (path: string) => Promise<T>,
): Promise<T> {
  let path = options.path
  let lock: WriterLock | undefined
  try {
    path = await canonicalDirectory(options.path, true)
    lock = await WriterLock.take(nodeFileSystem, path, {
      waitLockMs: options.waitLockMs,
      signal: wait.signal,
    })
    return await work(path)
  } catch (error) {
    if (wait.signal?.aborted === true && error === wait.signal.reason) throw error
    throw asIo(error, 'adoption or setting aside of', path)
  } finally {
    await lock?.release()
  }
}

function notFound(path: string, cause: unknown): SnapshotError {
  return new SnapshotError('NotFound', `there is no fold at ${path}`, { path, cause })
}

function alreadyExists(path: string): SnapshotError {
  return new SnapshotError('AlreadyExists', `there is something at ${path} already`, { path })
}
