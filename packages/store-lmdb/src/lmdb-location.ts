import { mkdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { SnapshotError, type SnapshotLocation } from '@slip/kv-core'
import { nodeFileSystem, systemCode } from '@slip/kv-core/store-parts'
import { isOccupied, removeFold } from './fold-directory.ts'
import type { LmdbOptions } from './lmdb-options.ts'
import { lmdbPayload } from './lmdb-payload.ts'
import { LmdbSnapshot } from './lmdb-snapshot.ts'
import { adoptFold, createFold, receiveFold, withLockedDirectory } from './new-fold.ts'
import { asIo } from './io-error.ts'

/** A fold in LMDB as `follow` and `importSnapshot` take it. */
export function lmdb(options: LmdbOptions): SnapshotLocation<LmdbSnapshot> {
  return {
    backend: 'lmdb',
    payload: lmdbPayload,
    open: async (wait = {}) => LmdbSnapshot.open({ ...options, ...wait }),
    exists: async () =>
      isOccupied(options.path).catch((error: unknown) => {
        throw asIo(error, 'looking at', options.path)
      }),
    setAside: async () => setAside(options),
    beside: (purpose) => lmdb({ ...options, path: `${options.path}.${purpose}` }),
    remove: async () => {
      await withLockedDirectory(options, {}, removeFold)
    },
    adopt: async (directory, wait = {}) => adoptFold(options, directory, wait),
    receive: async (payload, receiving = {}) => receiveFold(options, payload, receiving),
    create: async (fold, wait = {}) => {
      await createFold(options, fold, wait)
    },
  }
}

/** Renames what is there to `PATH.damaged-TIME`, a name that was free, under its lock. */
async function setAside(options: LmdbOptions): Promise<string> {
  return withLockedDirectory(options, {}, async (path) => {
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

function notFound(path: string, cause: unknown): SnapshotError {
  return new SnapshotError('NotFound', `there is no fold at ${path}`, { path, cause })
}
