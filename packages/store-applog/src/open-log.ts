import { dirname } from 'node:path'
import type { Recovery, WatchCursor } from '@slip/kv-core'
import { loadNativeCrc32c } from './crc32c.ts'
import {
  canonicalPath,
  systemCode,
  WriterLock,
  type FileSystem,
  type LockWait,
  type LogHandle,
} from '@slip/kv-core/store-parts'
import { damageError, loadLog, type FoldSink } from './load-log.ts'
import { asIo, LogFile, writeFully } from './log-file.ts'
import { encodeHeader, GENERATION_2_HEADER, HEADER_3_BYTES, newSalt, type Generation } from './log-header.ts'
import { removeLeftovers } from './log-path.ts'

/** A log open for writing, its lock held. */
export interface OpenLog<F> {
  readonly path: string
  readonly lock: WriterLock
  readonly file: LogFile
  readonly generation: Generation
  /** Of generation 3; no bytes for generation 2. */
  readonly salt: Uint8Array
  readonly fold: F
  readonly cursor: WatchCursor
  readonly lineage: Uint8Array | undefined
  readonly recovery: Recovery | undefined
  /** Whether all of it is known to be on disk. */
  readonly durable: boolean
}

/**
 * Takes the lock, loads the log at `path` into the fold that `makeFold` gives for its generation, and
 * cuts a torn tail; a missing log is made. Needs no free space. SnapshotError `Busy`, `InvalidFormat`,
 * `Corrupted`, `Io`; after any of them the file is as it was.
 */
export async function openLog<F extends FoldSink>(
  files: FileSystem,
  options: LockWait & { readonly path: string; readonly format?: Generation },
  makeFold: (generation: Generation | undefined) => F,
): Promise<OpenLog<F>> {
  await loadNativeCrc32c()
  let lock: WriterLock | undefined
  let handle: LogHandle | undefined
  let path = options.path
  try {
    path = await canonicalPath(files, options.path, true)
    lock = await WriterLock.take(files, path, options)
    await removeLeftovers(files, path)
    handle = await openOrCreate(files, path)
    return await load(files, path, lock, handle, options, makeFold)
  } catch (error) {
    await handle?.close().catch(() => undefined)
    await lock?.release()
    if (options.signal?.aborted === true && error === options.signal.reason) throw error
    throw asIo(error, 'opening', path)
  }
}

async function load<F extends FoldSink>(
  files: FileSystem,
  path: string,
  lock: WriterLock,
  handle: LogHandle,
  options: { readonly format?: Generation; readonly signal?: AbortSignal | undefined },
  makeFold: (generation: Generation | undefined) => F,
): Promise<OpenLog<F>> {
  const { size } = await handle.stat()
  const loaded = await loadLog(handle, path, makeFold, { size, signal: options.signal })
  if (loaded.verdict.verdict === 'corrupt') throw damageError(loaded.verdict, path)
  const { at } = loaded.verdict
  const generation = at === 0 ? (options.format ?? loaded.generation ?? 3) : loaded.generation!
  // A header that nothing follows may never have been synced: it is written once more.
  const empty = at <= headerBytes(generation)
  if (at < size) await handle.truncate(at)
  const salt = generation === 3 ? (loaded.header?.salt ?? newSalt()) : new Uint8Array(0)
  const end = empty ? await begin(files, path, handle, fileHeader(generation, salt)) : at
  const file = await LogFile.over(files, path, handle, end, lock, empty)
  if (empty) await file.forgetDoubt()
  return {
    path,
    lock,
    file,
    generation,
    salt,
    fold: loaded.fold,
    cursor: loaded.cursor,
    lineage: loaded.lineage,
    // What was cut inside its header never held anything.
    recovery: at < size && at > 0 ? { verdict: 'torn', at, bytes: size - at } : undefined,
    durable: !(await file.inDoubt()) && (await synced(files, path, handle)),
  }
}

function headerBytes(generation: Generation): number {
  return generation === 3 ? HEADER_3_BYTES : GENERATION_2_HEADER.length
}

/** The first bytes of a log that begins empty. */
export function fileHeader(generation: Generation, salt: Uint8Array): Uint8Array {
  return generation === 3 ? encodeHeader({ salt, baseEnd: HEADER_3_BYTES }) : GENERATION_2_HEADER
}

/** Tries to write the header at once; where there is no room for it, the first apply does. */
async function begin(
  files: FileSystem,
  path: string,
  handle: LogHandle,
  header: Uint8Array,
): Promise<number> {
  try {
    await writeFully(handle, header, 0)
    await handle.datasync()
    await files.syncDirectory(dirname(path))
    return header.length
  } catch {
    await handle.truncate(0)
    return 0
  }
}

/** Syncs the file and its name: a process that died after a rename may have left one that nobody synced. */
async function synced(files: FileSystem, path: string, handle: LogHandle): Promise<boolean> {
  try {
    await handle.datasync()
    await files.syncDirectory(dirname(path))
    return true
  } catch {
    return false
  }
}

async function openOrCreate(files: FileSystem, path: string): Promise<LogHandle> {
  try {
    return await files.open(path, 'update')
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error
    return files.open(path, 'create')
  }
}
