import { randomBytes } from 'node:crypto'
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
import { nodeFileSystem, syncData, systemCode, WriterLock } from '@slip/kv-core/store-parts'
import { checkFile } from './file-check.ts'
import { canonicalDirectory, isOccupied, writeCurrent, type CurrentFold } from './fold-directory.ts'
import { FOLD_ID_BYTES } from './fold-state.ts'
import type { LmdbOptions } from './lmdb-options.ts'
import { COPY_NAME } from './lmdb-payload.ts'
import { asIo } from './io-error.ts'
import { openFile, reserveRoom } from './open-directory.ts'

const FIRST_NAME = 'fold-00000001.mdb'
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
    const file = join(draft, FIRST_NAME)
    await writeFile(file, copy!, wait.signal)
    const { foldId, cursor, lineage, entries } = await checkFile(file, 'records', { signal: wait.signal })
    admit?.({ cursor, lineage, entries })
    return { name: FIRST_NAME, foldId }
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

/** Makes a fold of updates. */
export async function createFold(options: LmdbOptions, fold: FoldUpdates, wait: WaitOptions): Promise<void> {
  await makeFold(options, wait, async (draft) => {
    const made: CurrentFold = { name: FIRST_NAME, foldId: randomBytes(FOLD_ID_BYTES) }
    await reserveRoom(join(draft, FIRST_NAME))
    const target = await openFile(draft, made, options, { make: true, check: 'head', synced: false })
    try {
      await fold.read(async (updates) => {
        wait.signal?.throwIfAborted()
        await target.apply(updates, WatchCursor.none, {})
      })
      await target.apply([], fold.cursor, fold.lineage === undefined ? {} : { lineage: fold.lineage })
      await target.sync()
    } finally {
      await target.close()
    }
    return made
  })
}

/** `fill` makes the file of a fold in a directory that nobody looks at, and says which it is. */
async function makeFold(
  options: LmdbOptions,
  wait: WaitOptions,
  fill: (draft: string) => Promise<CurrentFold>,
): Promise<void> {
  await withLockedDirectory(options, wait, async (path) => {
    if (await isOccupied(path)) throw alreadyExists(path)
    const draft = `${path}.adopting`
    await rm(draft, { recursive: true, force: true })
    try {
      await mkdir(draft, { mode: 0o700 })
      await writeCurrent(draft, await fill(draft))
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
export async function withLockedDirectory<T>(
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
    throw asIo(error, 'making or setting aside of', path)
  } finally {
    await lock?.release()
  }
}

function alreadyExists(path: string): SnapshotError {
  return new SnapshotError('AlreadyExists', `there is something at ${path} already`, { path })
}
