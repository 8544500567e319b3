import { setTimeout as delay } from 'node:timers/promises'
import { SnapshotError } from '@slip/kv-core'
import { systemCode } from '@slip/kv-core/store-parts'
import { DATABASES } from './file-check.ts'
import { decodeLineageRow, decodeState, LINEAGE_KEY, STATE_KEY, type FoldState } from './fold-state.ts'
import { textKeyEncoder } from './key-text.ts'
import { decodeLayers, LAYERS_KEY, type Layers } from './layer-row.ts'
import { LayerStack } from './layer-stack.ts'
import { LockFile } from './lock-file.ts'
import { nativeAddon, open, type LmdbDatabase, type LmdbRoot, type ReadOptions } from './lmdb-js.js'
import { keyEncoder } from './stored-key.ts'

/** 64 GiB of addresses, which cost nothing; the library maps more when a file grows beyond. */
const FIRST_MAP_BYTES = 2 ** 36
/** Room for the runs of a fold that is hydrated in bulk. */
const MAX_DATABASES = 1_536

/** An open file of LMDB with the databases of a fold. One thread's; a process shares what is below. */
export interface Environment {
  readonly file: string
  readonly root: LmdbRoot
  readonly data: LmdbDatabase
  readonly deleted: LmdbDatabase
  readonly meta: LmdbDatabase
  readonly layers: LayerStack
  readonly lockFile: LockFile | undefined
  /** A database that is used by the text of its keys; it is made where this is a writer's. */
  byText(name: string): LmdbDatabase | undefined
}

export interface EnvironmentOptions {
  /** Whether each commit is synced. */
  readonly synced: boolean
  readonly maxReaders: number
  /** Nothing is written from here; somebody else in the process may. */
  readonly reads?: 'writableFile' | 'readOnlyFile'
}

/** Of the system: a lock that was ended (EINVAL). */
const ENDED_LOCKS = 22
const OPEN_ATTEMPTS = 200
const MOST_PAUSE_MS = 20
/** Of the library: commits are not synced. */
const NO_SYNC = 0x10000

/**
 * Opens a file that was checked. A native open that fails leaves the process in an undefined state, so
 * nothing may be left for it to find. SnapshotError `Backend`, `Busy`, `Io`.
 *
 * Whoever closes a file last ends the locks in its lock file, for who is just opening it as well: that one closes it, so
 * that they are made anew, and opens it again.
 */
export async function openEnvironment(file: string, options: EnvironmentOptions): Promise<Environment> {
  for (let attempt = 1; ; attempt++)
    try {
      return await openOnce(file, options)
    } catch (error) {
      const { code, wasOpen } = error as { readonly code?: unknown; readonly wasOpen?: true }
      if (wasOpen === undefined || code !== ENDED_LOCKS || attempt === OPEN_ATTEMPTS)
        throw nativeError(error, 'opening', file)
      await delay(Math.random() * MOST_PAUSE_MS)
    }
}

async function openOnce(file: string, options: EnvironmentOptions): Promise<Environment> {
  const codec = { encoding: 'binary', encoder: sharedBytes, keyEncoder }
  const root = open(file, {
    ...codec,
    noSubdir: true,
    maxDbs: MAX_DATABASES,
    maxReaders: options.maxReaders,
    pageSize: 4096,
    permissionsMode: 0o600,
    noReadAhead: true,
    // It shows commits whose promise was rejected, and makes them durable later.
    overlappingSync: false,
    noSync: !options.synced,
    readOnly: options.reads !== undefined,
    writableFile: options.reads === 'writableFile',
    // Windows makes the file as large as its map.
    ...(process.platform === 'win32' ? {} : { mapSize: FIRST_MAP_BYTES }),
  })
  try {
    // The process had it open already, by a reader that has outlived a writer of another durability.
    if (
      options.synced &&
      options.reads === undefined &&
      (nativeAddon.getEnvFlags(root.env.address) & NO_SYNC) !== 0
    )
      throw new SnapshotError(
        'Busy',
        `${file} is open in this process without syncing: close its readers first`,
        {
          path: file,
        },
      )
    const database = (name: string): LmdbDatabase => {
      const opened = root.openDB(name, codec)
      if (opened === undefined)
        throw new SnapshotError('InvalidFormat', `${file} has no database ${name}`, { path: file, at: 0 })
      return opened
    }
    const byText = (name: string): LmdbDatabase | undefined =>
      root.openDB(name, { ...codec, keyEncoder: textKeyEncoder })
    const data = database(DATABASES.data)
    const deleted = database(DATABASES.deleted)
    const layers = new LayerStack({ data, deleted }, byText)
    const meta = database(DATABASES.meta)
    return { file, root, data, deleted, meta, layers, byText, lockFile: LockFile.of(file) }
  } catch (error) {
    await root.close()
    throw error
  }
}

/** Values are read in the library's own buffer and copied from there by whoever wants them. */
const sharedBytes = {
  encode: (value: Uint8Array): Uint8Array => value,
  decode: (bytes: Uint8Array): Uint8Array => bytes,
}

/** The state row; undefined in a file that nobody has committed to. */
export function readState(meta: LmdbDatabase, options?: ReadOptions): FoldState | undefined {
  const bytes = meta.getBinaryFast(STATE_KEY, options)
  return bytes === undefined ? undefined : decodeState(bytes, meta.lastSize)
}

/** The layers above the sorted databases; undefined where there are none. */
export function readLayers(meta: LmdbDatabase, options?: ReadOptions): Layers | undefined {
  const bytes = meta.getBinaryFast(LAYERS_KEY, options)
  return bytes === undefined ? undefined : decodeLayers(bytes, meta.lastSize)
}

export function readLineage(meta: LmdbDatabase, options?: ReadOptions): Uint8Array | undefined {
  const bytes = meta.getBinaryFast(LINEAGE_KEY, options)
  return bytes === undefined ? undefined : decodeLineageRow(bytes, meta.lastSize)
}

/** Of the library: what it says of pages and transactions that damage has spoilt. */
const DAMAGE_CODES: readonly unknown[] = [-30_797, -30_796, -30_793, -30_787, -30_786, -30_784, -30_782]

/**
 * A failure of the library: system errors are `Io`, what only damage makes is `Corrupted`, all else of its own is
 * `Backend`; a SnapshotError stays itself.
 */
export function nativeError(error: unknown, what: string, path: string): SnapshotError {
  if (SnapshotError.is(error)) return error
  const { code, message } = error as { readonly code?: unknown; readonly message?: unknown }
  if (DAMAGE_CODES.includes(code)) return damagedError(error, message, path)
  // The library's are numbers.
  const system = (typeof code === 'number' && code > 0) || systemCode(error) !== undefined
  return new SnapshotError(system ? 'Io' : 'Backend', `${what} ${path} failed: ${String(message)}`, {
    cause: error,
    path,
  })
}

/** A failure to read: as `nativeError`; what is no error of the library was met in what was read, and is `Corrupted`. */
export function readError(error: unknown, path: string): SnapshotError {
  if (SnapshotError.is(error)) return error
  const { code, message } = error as { readonly code?: unknown; readonly message?: unknown }
  return code === undefined ? damagedError(error, message, path) : nativeError(error, 'reading', path)
}

function damagedError(error: unknown, message: unknown, path: string): SnapshotError {
  return new SnapshotError('Corrupted', `${path} is damaged: ${String(message)}`, { cause: error, path })
}
