import { SnapshotError, type SnapshotLocation, type SnapshotStore } from '@slip/kv-core'
import { override } from './override.ts'
import type { ReferenceFiles } from './reference-files.ts'
import { referenceLocation } from './reference-store.ts'

/** A store that takes a failing call the wrong way, the case made to say so, and what it says. */
export interface BrokenPort {
  readonly name: string
  readonly caughtBy: string
  readonly says: RegExp
  readonly spoil: (path: string, files: ReferenceFiles) => SnapshotLocation
}

export const brokenPorts: readonly BrokenPort[] = [
  {
    name: 'takes a write that failed for one that was done',
    caughtBy: 'faults/each-call-once',
    says: /was acknowledged|call \d+ failed, write/,
    spoil: (path, files) =>
      referenceLocation(
        path,
        writing(files, async (write, length) => write().catch(() => length)),
      ),
  },
  {
    name: 'throws what the system threw',
    caughtBy: 'faults/each-call-for-good',
    says: /becomes a SnapshotError, not Error: EIO/,
    spoil: (path, files) =>
      stores(path, files, (store) => ({
        apply: (...update) => store.apply(...update).catch(unwrapped),
      })),
  },
  {
    name: 'takes more after a write that failed',
    caughtBy: 'faults/disk-full',
    says: /another apply to that handle is refused/,
    spoil: (path, files) => {
      let failed = 0
      return stores(path, files, (store) => ({
        apply: (...update) =>
          store.apply(...update).catch((error: unknown) => {
            if (failed++ % 2 === 0) throw error
          }),
      }))
    },
  },
  {
    name: 'shows nothing of a staged fold whose commit failed',
    caughtBy: 'faults/staged-keys',
    says: /after batch 5 was staged, the fold is at 1: {2}can be read/,
    spoil: (path, files) =>
      stores(path, files, (store) => ({
        stage: async () => {
          const staged = await store.stage!()
          let failed = false
          return override(staged, {
            keys: () => (failed ? [] : [...staged.keys()])[Symbol.iterator](),
            commit: () =>
              staged.commit().catch((error: unknown) => {
                failed = true
                throw error
              }),
          })
        },
      })),
  },
  {
    name: 'believes that a write takes all it is given',
    caughtBy: 'faults/short-writes',
    says: /after the reopen|damaged/,
    spoil: (path, files) =>
      referenceLocation(
        path,
        writing(files, async (write, length) => {
          await write()
          return length
        }),
      ),
  },
  {
    name: 'syncs a second time and believes it',
    caughtBy: 'faults/failed-sync',
    says: /a second sync of that handle is refused/,
    spoil: (path, files) => {
      let failed = false
      return stores(path, files, (store) => ({
        sync: async () => {
          if (failed) return store.cursor
          failed = true
          try {
            return await store.sync()
          } finally {
            failed = store.durableCursor.toHex() !== store.cursor.toHex()
          }
        },
      }))
    },
  },
]

/** The honest store with some members replaced each time it is opened. */
function stores(
  path: string,
  files: ReferenceFiles,
  parts: (store: SnapshotStore) => Partial<SnapshotStore>,
): SnapshotLocation {
  const location = referenceLocation(path, files)
  return {
    ...location,
    open: async () => {
      const store = await location.open()
      return override(store, parts(store))
    },
  }
}

/** The files with writes that end in some other way; `length` is what was to be written. */
function writing(
  files: ReferenceFiles,
  end: (write: () => Promise<number>, length: number) => Promise<number>,
): ReferenceFiles {
  return {
    ...files,
    open: async (path, flags) => {
      const handle = await files.open(path, flags)
      const write = async (
        ...args: [Uint8Array, number, number, number]
      ): Promise<{ bytesWritten: number }> => ({
        bytesWritten: await end(async () => (await handle.write(...args)).bytesWritten, args[2]),
      })
      return override(handle, { write: write as unknown as typeof handle.write })
    },
  }
}

function unwrapped(error: unknown): never {
  throw SnapshotError.is(error) && error.cause !== undefined ? error.cause : error
}
