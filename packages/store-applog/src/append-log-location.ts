import { dirname } from 'node:path'
import { SnapshotError, type SnapshotLocation } from '@slip/kv-core'
import { nodeFileSystem, systemCode, type FileSystem } from '@slip/kv-core/store-parts'
import type { AppendLogOptions } from './append-log-options.ts'
import { appendLogPayload } from './append-log-payload.ts'
import { AppendLogSnapshot } from './append-log-snapshot.ts'
import { isThere, withLockedLog } from './locked-path.ts'
import { removeIfThere } from './log-draft.ts'
import { adoptLog, createLog, receiveLog } from './new-log.ts'

/** An append log as `follow` and `importSnapshot` take it. */
export function appendLog(options: AppendLogOptions): SnapshotLocation<AppendLogSnapshot> {
  const files = nodeFileSystem
  return {
    backend: 'append-log',
    payload: appendLogPayload,
    open: async (wait = {}) => AppendLogSnapshot.open({ ...options, ...wait }),
    exists: async () => isThere(files, options.path),
    setAside: async () => setAside(files, options),
    beside: (purpose) => appendLog({ ...options, path: `${options.path}.${purpose}` }),
    remove: async () => remove(files, options),
    adopt: async (directory, wait = {}) => adoptLog(files, options, directory, wait),
    receive: async (payload, receiving = {}) => receiveLog(files, options, payload, receiving),
    create: async (fold, wait = {}) => createLog(files, options, fold, wait),
  }
}

async function remove(files: FileSystem, options: AppendLogOptions): Promise<void> {
  await withLockedLog(files, options, {}, async (path) => {
    await removeIfThere(files, path)
    await files.syncDirectory(dirname(path))
  })
}

/** Renames the log to `PATH.damaged-TIME`, a name that was free, under its lock. */
async function setAside(files: FileSystem, options: AppendLogOptions): Promise<string> {
  return withLockedLog(files, options, {}, async (path) => {
    const stamp = new Date().toISOString().replaceAll(/[-:]/g, '').replace('.', '')
    for (let attempt = 0; ; attempt++) {
      const name = `${path}.damaged-${stamp}${attempt === 0 ? '' : `-${attempt}`}`
      if (await isThere(files, name)) continue
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
