import { mkdir, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { SnapshotError, type WaitOptions } from '@slip/kv-core'
import { canonicalPath, nodeFileSystem, syncData, systemCode, WriterLock } from '@slip/kv-core/store-parts'
import { checkFile, type CheckDepth } from './file-check.ts'
import {
  FIRST_BYTES,
  CURRENT_NAME,
  forgetDoubt,
  isDoubtful,
  isMarkedDamaged,
  isStill,
  markDoubtful,
  markUnsynced,
  mayBeHalfWritten,
  nextFold,
  readCurrent,
  removeLeftovers,
  syncNames,
  unmarkDamaged,
  writeCurrent,
  type CurrentFold,
} from './fold-directory.ts'
import { asIo } from './io-error.ts'
import { DEFAULT_MAX_READERS, type LmdbOptions } from './lmdb-options.ts'
import { OpenFold } from './open-fold.ts'
import { syncFile } from './sync-file.ts'

/** A fold open for writing, the lock of its directory held. */
export interface OpenDirectory {
  readonly directory: string
  readonly lock: WriterLock
  readonly fold: OpenFold
  /** Whether all of it is known to be on disk. */
  readonly durable: boolean
}

/** Takes the lock and opens the fold at `path`, or makes one. After any rejection what was there is as it was. */
export async function openDirectory(options: LmdbOptions & WaitOptions): Promise<OpenDirectory> {
  let lock: WriterLock | undefined
  let directory = options.path
  try {
    directory = await canonicalPath(nodeFileSystem, options.path, true)
    lock = await WriterLock.take(nodeFileSystem, directory, options)
    await makeDirectory(directory)
    const current = await readCurrent(directory)
    // A process that died after a rename may have left one that nobody synced.
    const named = await syncNames(directory)
    // What CURRENT named before is needed as long as it may come back.
    if (named) await removeLeftovers(directory, current?.name)
    const fold =
      current === undefined ? await makeFold(directory, options) : await reopen(directory, current, options)
    const proven = current === undefined ? fold : await proveDurable(directory, current, fold, options)
    return { directory, lock, fold: proven ?? fold, durable: named && proven !== undefined }
  } catch (error) {
    await lock?.release()
    if (options.signal?.aborted === true && error === options.signal.reason) throw error
    throw asIo(error, 'opening', directory)
  }
}

/** Opens a file of the directory as `durability` wants it. */
export async function openFile(
  directory: string,
  fold: CurrentFold,
  options: LmdbOptions,
  how: {
    readonly make: boolean
    readonly check: CheckDepth
    /** False where it is written to take the place of another, which is synced then. */
    readonly inUse?: boolean
  },
): Promise<OpenFold> {
  const { inUse = true } = how
  return OpenFold.open({
    file: join(directory, fold.name),
    foldId: fold.foldId,
    make: how.make,
    check: how.check,
    synced: inUse && isSynced(options),
    isRead: inUse,
    maxReaders: options.maxReaders ?? DEFAULT_MAX_READERS,
    bulk: options.bulk,
  })
}

/** Whether each commit reaches the disk by itself. */
export function isSynced({ durability = 'batch' }: LmdbOptions): boolean {
  return durability === 'batch'
}

/** SnapshotError `Busy` where another writer has taken the fold over. */
export function mustHold(lock: WriterLock, directory: string): void {
  if (lock.lost)
    throw new SnapshotError('Busy', `${directory} was taken over by another writer`, { path: directory })
}

/**
 * Makes sure there is room for a new file: the native library ends the process where there is none. SnapshotError
 * `Io`.
 */
export async function reserveRoom(file: string): Promise<void> {
  try {
    const probe = await open(file, 'wx', 0o600)
    try {
      await probe.writeFile(new Uint8Array(FIRST_BYTES).fill(1))
      await syncData(probe.fd)
    } finally {
      await probe.close()
      await rm(file, { force: true })
    }
  } catch (error) {
    throw asIo(error, 'making', file)
  }
}

async function makeDirectory(directory: string): Promise<void> {
  try {
    await mkdir(directory, { mode: 0o700 })
    return
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error
  }
}

async function makeFold(directory: string, options: LmdbOptions): Promise<OpenFold> {
  const current = await nextFold(directory)
  await reserveRoom(join(directory, current.name))
  const fold = await openFile(directory, current, options, { make: true, check: 'head' })
  try {
    await fold.sync()
    await writeCurrent(directory, current)
    if (!isSynced(options)) await markUnsynced(directory)
    return fold
  } catch (error) {
    await fold.close()
    throw error
  }
}

async function reopen(directory: string, current: CurrentFold, options: LmdbOptions): Promise<OpenFold> {
  const asked = options.check ?? 'head'
  const marked = await isMarkedDamaged(directory)
  const halfWritten = asked === 'head' && (await mayBeHalfWritten(directory))
  const check = marked ? 'records' : halfWritten ? 'structure' : asked
  if (!isSynced(options)) await markUnsynced(directory)
  try {
    const fold = await openFile(directory, current, options, { make: false, check })
    if (marked) await unmarkDamaged(directory)
    return fold
  } catch (cause) {
    if (!SnapshotError.is(cause) || cause.code !== 'NotFound') throw cause
    const path = join(directory, current.name)
    throw new SnapshotError('Corrupted', `${path} is named by ${CURRENT_NAME} and not there`, {
      path,
      at: 0,
      cause,
    })
  }
}

/**
 * The fold with all of it on disk: synced, or copied to a new file where an earlier sync failed.
 * undefined when that cannot be had, for want of space for one; the fold is usable all the same.
 */
async function proveDurable(
  directory: string,
  current: CurrentFold,
  fold: OpenFold,
  options: LmdbOptions,
): Promise<OpenFold | undefined> {
  if (!(await isDoubtful(directory)))
    return syncFile(fold.file).then(
      () => fold,
      async () => {
        await markDoubtful(directory)
        return undefined
      },
    )
  const next = { ...(await nextFold(directory)), foldId: current.foldId }
  const file = join(directory, next.name)
  try {
    await reserveRoom(file)
    await fold.copyTo(file)
    await checkFile(file, 'records')
    await writeCurrent(directory, next)
  } catch (error) {
    if (await isStill(directory, current.name)) {
      await rm(file, { force: true })
      if (!SnapshotError.is(error) || error.code !== 'Corrupted') return undefined
    }
    await fold.close()
    throw error
  }
  await fold.close()
  await forgetDoubt(directory)
  await removeLeftovers(directory, next.name)
  return openFile(directory, next, options, { make: false, check: 'head' })
}
