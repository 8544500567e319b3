import { access, constants, open, stat, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { SnapshotError } from '@slip/kv-core'
import { portableCrc32c, systemCode } from '@slip/kv-core/store-parts'
import { eachStep, isBatch, PUT, REMOVE } from './batch-encoder.ts'
import { recordIsIntact, sealOf } from './fold-record.ts'
import { decodeLineageRow, decodeState, LINEAGE_KEY, STATE_KEY, type FoldState } from './fold-state.ts'
import { checkHead } from './head-check.ts'
import { asIo } from './io-error.ts'
import type { MetaPage } from './lmdb-page.ts'
import { ARRIVALS_NAME, decodeLayers, isLayerName, LAYERS_KEY, runName, type Layers } from './layer-row.ts'
import { walkPages } from './page-walk.ts'

/** The databases of a fold, and nothing else is in its file. */
export const DATABASES = { data: 'data', deleted: 'deleted', meta: 'meta' } as const

/**
 * `head`: the size, and every page that opening and committing nothing would touch. `structure`: every
 * page. `records`: every record's checksum too.
 */
export type CheckDepth = 'head' | 'structure' | 'records'

export interface CheckOptions {
  /** For a file that CURRENT names: it was LMDB's, so that all else it may be is damage. */
  readonly named?: boolean
  /**
   * For a file somebody may be writing to: damage is believed when it is seen again. More than the head
   * needs a read transaction that is open meanwhile, so that no page of the commit is used again.
   */
  readonly live?: boolean
  /** For one whose newest commit stays as it is: a read transaction is open. What arrived is then read too. */
  readonly pinned?: boolean
  readonly signal?: AbortSignal | undefined
}

/** What the newest commit of a checked file states. */
export interface CheckedFold extends FoldState {
  readonly lineage: Uint8Array | undefined
}

/**
 * Decides by plain reads whether the native library may open `path`. SnapshotError `InvalidFormat` with
 * `at` 0 for a file that is not LMDB's, `Corrupted` with `at` for a damaged one, `NotFound`, `Io`.
 * Gives the state the fold is in.
 */
export async function checkFile(
  path: string,
  depth: CheckDepth,
  options: CheckOptions = {},
): Promise<CheckedFold> {
  const { live = false, pinned = depth !== 'head' } = options
  const attempts = !live ? 1 : pinned ? PINNED_ATTEMPTS : LIVE_ATTEMPTS
  for (let attempt = 1; ; attempt++) {
    const last = attempt >= attempts
    const file = await open(path, 'r').catch((cause: unknown) => {
      if (systemCode(cause) === 'ENOENT')
        throw new SnapshotError('NotFound', `there is no fold at ${path}`, { path, cause })
      throw new SnapshotError('Io', `opening ${path} failed (${systemCode(cause)})`, { path, cause })
    })
    try {
      return await checkOpened(file, path, depth, {
        last,
        live,
        pinned,
        foreign: options.named === true ? 'Corrupted' : 'InvalidFormat',
        signal: options.signal,
      })
    } catch (error) {
      if (options.signal?.aborted === true) throw error
      if (last || !SnapshotError.is(error)) throw asIo(error, 'reading', path)
    } finally {
      await file.close().catch(() => undefined)
    }
    await delay(LIVE_PAUSE_MS)
  }
}

/**
 * The library ends the process when it cannot open or make the lock file beside `path`. SnapshotError
 * `Io` when that would happen.
 *
 * The file is looked at and not opened: closing it would drop the locks that the library has on it in
 * this process, and the next opener elsewhere would clear this process's readers as dead.
 */
export async function checkLockFile(path: string): Promise<void> {
  const lock = `${path}-lock`
  try {
    await access(lock, constants.R_OK | constants.W_OK)
    if ((await stat(lock)).isFile()) return
    throw new SnapshotError('Io', `${lock} is no file`, { path: lock })
  } catch (cause) {
    if (SnapshotError.is(cause)) throw cause
    if (systemCode(cause) !== 'ENOENT')
      throw new SnapshotError('Io', `${lock} cannot be written (${systemCode(cause)})`, { path: lock, cause })
  }
  await access(dirname(path), constants.W_OK).catch((cause: unknown) => {
    throw new SnapshotError('Io', `${lock} cannot be made (${systemCode(cause)})`, { path: lock, cause })
  })
}

const LIVE_ATTEMPTS = 20
/** Only the two meta pages and the size of the file change under who has a read transaction. */
const PINNED_ATTEMPTS = 3
const LIVE_PAUSE_MS = 5

async function checkOpened(
  file: FileHandle,
  path: string,
  depth: CheckDepth,
  options: {
    readonly last: boolean
    readonly live: boolean
    readonly pinned: boolean
    /** What a file is that is not LMDB's. */
    readonly foreign: 'InvalidFormat' | 'Corrupted'
    readonly signal: AbortSignal | undefined
  },
): Promise<CheckedFold> {
  const head = await checkHead(file)
  if (head.verdict !== 'plausible') {
    const code = head.verdict === 'foreign' ? options.foreign : 'Corrupted'
    throw new SnapshotError(code, `${path} cannot be opened: ${head.what}`, { path, at: head.at })
  }
  // Whether pages that the file lacks are used only a walk tells; a writer is about to add them.
  if (head.missingBytes > 0 && !options.last)
    throw new SnapshotError('Corrupted', `${path} lacks ${head.missingBytes} bytes`, { path, at: head.size })
  // What a commit leaves alone is walked only by those who ask, and where the file lacks pages.
  const whole = depth !== 'head' || head.missingBytes > 0
  const rows = new RowCheck(depth === 'records' ? await sealIn(file, path, head.meta, options) : undefined)
  const {
    databases,
    damage,
    lostPages = 0,
  } = await walkPages(file, head.meta, {
    signal: options.signal,
    onRecord: (database, key, value) => rows.isIntact(database, key, value),
    ...(whole
      ? { comparesFree: true }
      : {
          // Whoever opens it reads what arrived at once. Beside a writer it may have become a run meanwhile.
          walks: (name) =>
            name === DATABASES.meta || (name === ARRIVALS_NAME && (!options.live || options.pinned)),
          skipFree: options.live,
        }),
  })
  if (damage !== undefined)
    throw new SnapshotError('Corrupted', `${path} is damaged: ${damage.what}`, { path, at: damage.at })
  // It harms nobody but him who asked whether all is as it was written.
  if (depth === 'records' && lostPages > 0)
    throw new SnapshotError('Corrupted', `${path} has ${lostPages} pages that are neither free nor in use`, {
      path,
    })
  for (const name of databases.keys())
    if (!Object.hasOwn(DATABASES, name) && !isLayerName(name))
      throw new SnapshotError(options.foreign, `${path} is no fold: it has a database ${name}`, {
        path,
        at: 0,
      })
  const { state, layers } = rows
  if (state === undefined) throw new SnapshotError('Corrupted', `${path} has no state`, { path })
  // A run that is being written, or that a writer ended on the way of.
  const begun = layers === undefined ? undefined : runName(layers.runs.length)
  const counts = countsOf(layers ?? { base: state, runs: [], arrivals: { from: 0, to: 0 } })
  for (const name of new Set([...counts.keys(), ...databases.keys()])) {
    const found = databases.get(name)?.entries ?? 0
    const counted = counts.get(name) ?? 0
    if (found !== counted && name !== DATABASES.meta && name !== begun)
      throw new SnapshotError('Corrupted', `${path} states ${counted} ${name} records and has ${found}`, {
        path,
      })
  }
  return { ...state, lineage: rows.lineage }
}

/** What the checksums of the file's records begin with; undefined where nobody committed. SnapshotError `Corrupted`. */
async function sealIn(
  file: FileHandle,
  path: string,
  meta: MetaPage,
  { signal }: { readonly signal: AbortSignal | undefined },
): Promise<number | undefined> {
  const rows = new RowCheck(undefined)
  const { damage } = await walkPages(file, meta, {
    signal,
    onRecord: (database, key, value) => rows.isIntact(database, key, value),
    walks: (name) => name === DATABASES.meta,
    skipFree: true,
  })
  if (damage !== undefined)
    throw new SnapshotError('Corrupted', `${path} is damaged: ${damage.what}`, { path, at: damage.at })
  return rows.state === undefined ? undefined : sealOf(rows.state)
}

/** How many records each database is said to have. */
function countsOf({ base, runs, arrivals }: Layers): ReadonlyMap<string, number> {
  return new Map([
    [DATABASES.data, base.entries],
    [DATABASES.deleted, base.deletedKeys],
    [ARRIVALS_NAME, arrivals.to - arrivals.from],
    ...runs.map((records, i) => [runName(i), records] as const),
  ])
}

/** Checks what the databases of a fold hold, and keeps its state and lineage. */
export class RowCheck {
  state: FoldState | undefined
  lineage: Uint8Array | undefined
  layers: Layers | undefined
  readonly #seal: number | undefined

  /** `seal` is the fold's; without it the checksums of entries and deleted keys are not looked at. */
  constructor(seal: number | undefined) {
    this.#seal = seal
  }

  isIntact(database: string, key: Buffer, value: Buffer): boolean {
    if (database === ARRIVALS_NAME) return batchIsIntact(value, this.#seal)
    if (database !== DATABASES.meta)
      return this.#seal === undefined || isIntactIn(database, key, value, this.#seal)
    if (value.length < 4 || portableCrc32c(0, value, 4, value.length) !== value.readUInt32LE(0)) return false
    const name = key.toString()
    if (name === STATE_KEY) this.state = decodeState(value, value.length)
    if (name === LAYERS_KEY) this.layers = decodeLayers(value, value.length)
    if (name === LINEAGE_KEY) this.lineage = decodeLineageRow(value, value.length)
    return true
  }
}

function isIntactIn(database: string, key: Buffer, value: Buffer, seal: number): boolean {
  if (!isLayerName(database)) return recordIsIntact(value, value.length, key, seal)
  const [what] = value
  return (what === PUT || what === REMOVE) && recordIsIntact(value.subarray(1), value.length - 1, key, seal)
}

function batchIsIntact(batch: Buffer, seal: number | undefined): boolean {
  if (!isBatch(batch)) return false
  if (seal === undefined) return true
  let intact = true
  eachStep(batch, ({ keyFrom, keyTo, to }) => {
    const record = batch.subarray(keyTo, to)
    intact &&= recordIsIntact(record, record.length, batch.subarray(keyFrom, keyTo), seal)
  })
  return intact
}
