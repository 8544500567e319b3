import { createReadStream } from 'node:fs'
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import {
  SnapshotError,
  WatchCursor,
  type FoldUpdates,
  type PayloadFile,
  type ReceiveOptions,
  type WaitOptions,
} from '@slip/kv-core'
import { nodeFileSystem, syncData, systemCode, withLockedPath } from '@slip/kv-core/store-parts'
import { BulkMerge } from './bulk-merge.ts'
import { checkFile } from './file-check.ts'
import { isOccupied, newFold, writeCurrent } from './fold-directory.ts'
import { FoldFiles, removeFile } from './fold-files.ts'
import type { LmdbOptions } from './lmdb-options.ts'
import { COPY_NAME } from './lmdb-payload.ts'
import { asIo } from './io-error.ts'
import { openFile, reserveRoom } from './open-directory.ts'
import { StagedFile } from './staged-fold.ts'

const STRETCH_BYTES = 1024 * 1024

/**
 * Makes a fold of the one file of a copy: written beside the fold's path, read back, shown to `admit`, and
 * given its name with one rename. A crash on the way leaves only a directory that the next one removes.
 */
export async function receiveFold(
  options: LmdbOptions,
  payload: readonly PayloadFile[],
  { admit, ...wait }: ReceiveOptions,
): Promise<void> {
  const [copy] = payload
  if (payload.length !== 1 || copy!.name !== COPY_NAME)
    throw new SnapshotError('InvalidFormat', `a copy of a fold in LMDB is one file, ${COPY_NAME}`, { at: 0 })
  await makeFold(options, wait, async (draft) => {
    const { name } = newFold(1)
    const file = join(draft, name)
    await writeFile(file, copy!, wait.signal)
    const { foldId, cursor, lineage, entries } = await checkFile(file, 'records', { signal: wait.signal })
    admit?.({ cursor, lineage, entries })
    await writeCurrent(draft, { name, foldId })
  })
}

/** The same of a copy in `directory`. */
export async function adoptFold(options: LmdbOptions, directory: string, wait: WaitOptions): Promise<void> {
  const names = await readdir(directory).catch((error: unknown) => {
    throw asIo(error, 'reading', directory)
  })
  if (!names.includes(COPY_NAME))
    throw new SnapshotError('InvalidFormat', `${directory} does not hold ${COPY_NAME}`, {
      path: directory,
      at: 0,
    })
  const path = join(directory, COPY_NAME)
  const { size } = await stat(path)
  const read = (): AsyncIterable<Uint8Array> => createReadStream(path, { highWaterMark: STRETCH_BYTES })
  await receiveFold(options, [{ name: COPY_NAME, size, read }], wait)
}

/** Makes a fold of updates, whatever order they come in. */
export async function createFold(
  options: LmdbOptions,
  fold: FoldUpdates,
  wait: WaitOptions,
): Promise<{ readonly entries: number; readonly bytes: number }> {
  return makeFold(options, wait, async (draft) => {
    const files = new FoldFiles(draft, options)
    const first = await files.nextFold()
    await reserveRoom(files.pathOf(first))
    const open = await openFile(draft, first, options, { make: true, check: 'head', inUse: false })
    let made = first
    const staged = new StagedFile(open, {
      merge: async () => BulkMerge.begin(files, open, { complete: true }),
      adopt: async (merged = first) => {
        made = merged
        await writeCurrent(draft, made)
      },
      // Of a new fold nothing was given to anybody.
      reread: async () => undefined,
      remove: async () => removeFile(files.pathOf(first)),
    })
    try {
      await fold.read(async (updates) => {
        wait.signal?.throwIfAborted()
        await staged.apply(updates, WatchCursor.none)
      })
      await staged.apply([], fold.cursor, fold.lineage === undefined ? {} : { lineage: fold.lineage })
      const { entries } = open.stats
      await staged.commit()
      const { size } = await stat(files.pathOf(made))
      return { entries, bytes: size }
    } catch (error) {
      await staged.discard()
      throw error
    }
  })
}

/** `fill` makes the files of a fold, with the name of the one in use, in a directory that nobody looks at. */
async function makeFold<R>(
  options: LmdbOptions,
  wait: WaitOptions,
  fill: (draft: string) => Promise<R>,
): Promise<R> {
  return withLockedDirectory(options, wait, async (path) => {
    if (await isOccupied(path)) throw alreadyExists(path)
    const draft = `${path}.adopting`
    await rm(draft, { recursive: true, force: true })
    try {
      await mkdir(draft, { mode: 0o700 })
      const filled = await fill(draft)
      await rename(draft, path)
      await nodeFileSystem.syncDirectory(dirname(path))
      return filled
    } catch (error) {
      if (['ENOTEMPTY', 'EEXIST', 'ENOTDIR'].includes(systemCode(error) ?? '')) throw alreadyExists(path)
      throw error
    } finally {
      await rm(draft, { recursive: true, force: true })
    }
  })
}

async function writeFile(file: string, copy: PayloadFile, signal: AbortSignal | undefined): Promise<void> {
  const target = await open(file, 'wx', 0o600)
  try {
    let written = 0
    for await (const bytes of copy.read()) {
      signal?.throwIfAborted()
      for (let at = 0; at < bytes.length;) {
        const { bytesWritten } = await target.write(bytes, at, bytes.length - at, written)
        at += bytesWritten
        written += bytesWritten
      }
    }
    if (written !== copy.size)
      throw new SnapshotError('Io', `${written} of ${copy.size} bytes came of ${copy.name}`, { path: file })
    await syncData(target.fd)
  } finally {
    await target.close()
  }
}

/** Runs `work` with the one path of a fold's directory, under its lock. */
export async function withLockedDirectory<R>(
  { path, waitLockMs }: LmdbOptions,
  { signal }: WaitOptions,
  work: (path: string) => Promise<R>,
): Promise<R> {
  const asError = (error: unknown, at: string): SnapshotError => asIo(error, 'making or setting aside of', at)
  return withLockedPath(nodeFileSystem, { path, waitLockMs, signal }, asError, work)
}

function alreadyExists(path: string): SnapshotError {
  return new SnapshotError('AlreadyExists', `there is something at ${path} already`, { path })
}
