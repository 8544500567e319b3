import { constants } from 'node:fs'
import { copyFile, mkdir, readFile, rename, rm, stat, writeFile, type FileHandle } from 'node:fs/promises'
import { basename, join } from 'node:path'
import {
  MAX_LINEAGE_BYTES,
  SnapshotError,
  type ApplyOptions,
  type KvUpdate,
  type ListedKey,
  type Recovery,
  type SnapshotLocation,
  type SnapshotStore,
  type SnapshotView,
  type StagedFold,
  type StoreFeatures,
  type StoreStats,
  type WatchCursor,
} from '@slip/kv-core'
import { EMPTY, StateReader, advance, closed, select, type FoldState } from './reference-fold.ts'
import { nodeFiles, type ReferenceFiles } from './reference-files.ts'
import { encodeApply, header, recover } from './reference-log.ts'

export const REFERENCE_FEATURES: StoreFeatures = {
  views: true,
  lineage: true,
  deletedKeys: true,
  staging: true,
  durable: true,
  multiProcessReaders: true,
  maxKeyBytes: 1_024,
  maxValueBytes: 1 << 20,
}

/** The simplest honest store: a line of JSON an apply, the whole fold in maps. */
export class ReferenceStore extends StateReader implements SnapshotStore {
  readonly features: StoreFeatures = REFERENCE_FEATURES
  readonly recovery: Recovery | undefined
  durableCursor: WatchCursor
  readonly #files: ReferenceFiles
  readonly #path: string
  #file: FileHandle
  #bytes: number
  #state: FoldState
  #open = true
  #failure: SnapshotError | undefined

  private constructor(
    files: ReferenceFiles,
    path: string,
    file: FileHandle,
    bytes: number,
    state: FoldState,
    recovery: Recovery | undefined,
  ) {
    super(() => (this.#open ? this.#state : closed()))
    this.#files = files
    this.#path = path
    this.#file = file
    this.#bytes = bytes
    this.#state = state
    this.recovery = recovery
    this.durableCursor = state.cursor
  }

  static async open(path: string, files: ReferenceFiles = nodeFiles): Promise<ReferenceStore> {
    await takeLock(path)
    let file: FileHandle | undefined
    try {
      file = await files.open(path, constants.O_RDWR | constants.O_CREAT)
      const { state, length, recovery } = recover(await file.readFile(), path)
      await file.truncate(length)
      const bytes = length === 0 ? await writeAll(file, header(), 0) : length
      await file.sync()
      await files.rm(`${path}.staged`, { force: true })
      return new ReferenceStore(files, path, file, bytes, state, recovery)
    } catch (error) {
      await file?.close().catch(() => {})
      await dropLock(path)
      throw asIo(error, path)
    }
  }

  get lineage(): Uint8Array | undefined {
    return this.#state.lineage?.slice()
  }

  get stats(): StoreStats {
    return { entries: this.#state.live.size, deletedKeys: this.#state.deleted.size, bytes: this.#bytes }
  }

  async apply(batch: readonly KvUpdate[], cursor: WatchCursor, options: ApplyOptions = {}): Promise<void> {
    if (!this.#open) closed()
    checkLimits(batch, options)
    const next = advance(this.#state, batch, cursor, options.lineage)
    await this.#write(async () => {
      this.#bytes += await writeAll(this.#file, encodeApply(batch, cursor, options.lineage), this.#bytes)
    })
    this.#state = next
  }

  async sync(): Promise<WatchCursor> {
    if (!this.#open) closed()
    const { cursor } = this.#state
    await this.#write(() => this.#file.sync())
    this.durableCursor = cursor
    return cursor
  }

  /** After a failure the handle takes nothing more. */
  async #write(work: () => Promise<void>): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure
    try {
      await work()
    } catch (error) {
      throw (this.#failure = asIo(error, this.#path))
    }
  }

  view({ deadlineMs }: { readonly deadlineMs?: number } = {}): SnapshotView {
    if (!this.#open) closed()
    return new PinnedView(this.#state, deadlineMs)
  }

  deletedKeys(prefix = ''): IterableIterator<ListedKey> {
    if (!this.#open) closed()
    return select(this.#state.deleted, prefix)[Symbol.iterator]()
  }

  async copyTo(
    directory: string,
  ): Promise<{ readonly cursor: WatchCursor; readonly files: readonly string[] }> {
    await mkdir(directory, { recursive: true })
    await copyFile(this.#path, join(directory, 'fold'), constants.COPYFILE_EXCL)
    return { cursor: this.#state.cursor, files: ['fold'] }
  }

  async stage(): Promise<StagedFold> {
    if (!this.#open) closed()
    const path = `${this.#path}.staged`
    let text = header()
    let state = EMPTY
    let swapped = false
    return {
      apply: async (batch, cursor, options = {}) => {
        checkLimits(batch, options)
        text += encodeApply(batch, cursor, options.lineage)
        state = advance(state, batch, cursor, options.lineage)
      },
      has: (key) => state.live.has(key),
      keys: () => (swapped ? [].values() : state.live.keys()),
      commit: () =>
        this.#write(async () => {
          const file = await this.#files.open(path, constants.O_RDWR | constants.O_CREAT | constants.O_TRUNC)
          try {
            this.#bytes = await writeAll(file, text, 0)
            await file.sync()
            await this.#files.rename(path, this.#path)
            swapped = true
          } catch (error) {
            await file.close().catch(() => {})
            throw error
          }
          const old = this.#file
          this.#file = file
          this.#state = state
          this.durableCursor = state.cursor
          await old.close()
        }),
      discard: async () => {
        state = EMPTY
      },
    }
  }

  async close(): Promise<void> {
    if (!this.#open) return
    this.#open = false
    try {
      if (this.#failure === undefined) await this.#file.sync()
      await this.#file.close()
    } catch (error) {
      await this.#file.close().catch(() => {})
      throw asIo(error, this.#path)
    } finally {
      await dropLock(this.#path)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

class PinnedView extends StateReader implements SnapshotView {
  #state: FoldState | undefined
  readonly #expiresAt: number

  constructor(state: FoldState, deadlineMs: number | undefined) {
    super(() => this.#pinned())
    this.#state = state
    this.#expiresAt = performance.now() + (deadlineMs ?? Infinity)
  }

  #pinned(): FoldState {
    if (this.#state === undefined || performance.now() >= this.#expiresAt)
      throw new SnapshotError('ViewExpired', 'the view has ended')
    return this.#state
  }

  close(): void {
    this.#state = undefined
  }

  [Symbol.dispose](): void {
    this.close()
  }
}

export function referenceLocation(path: string, files?: ReferenceFiles): SnapshotLocation {
  const exists = async (): Promise<boolean> =>
    stat(path).then(
      () => true,
      () => false,
    )
  return {
    backend: 'reference',
    open: () => ReferenceStore.open(path, files),
    exists,
    setAside: async () => {
      let aside = `${path}.aside`
      for (let n = 1; await stat(aside).catch(() => undefined); n++) aside = `${path}.aside-${n}`
      await rename(path, aside)
      return aside
    },
    beside: (purpose) => referenceLocation(`${path}.${purpose}`, files),
    remove: async () => {
      if (await exists()) await (await ReferenceStore.open(path, files)).close()
      await rm(path, { force: true })
    },
    adopt: async (directory) => {
      if (await exists()) throw new SnapshotError('AlreadyExists', `${basename(path)} exists`, { path })
      await copyFile(join(directory, 'fold'), path)
    },
  }
}

/** Loadable by a child process: `childModule` of the fixtures. */
export default (path: string): SnapshotLocation => referenceLocation(path)

async function writeAll(file: FileHandle, text: string, position: number): Promise<number> {
  const bytes = Buffer.from(text)
  for (let done = 0; done < bytes.length;)
    done += (await file.write(bytes, done, bytes.length - done, position + done)).bytesWritten
  return bytes.length
}

function asIo(error: unknown, path: string): SnapshotError {
  return SnapshotError.is(error) ? error : new SnapshotError('Io', `${path} failed`, { cause: error, path })
}

function checkLimits(batch: readonly KvUpdate[], { lineage }: ApplyOptions): void {
  const over =
    (lineage?.length ?? 0) > MAX_LINEAGE_BYTES ||
    batch.some(
      (update) =>
        Buffer.byteLength(update.key) > REFERENCE_FEATURES.maxKeyBytes ||
        (update.operation === 'put' && update.value.length > REFERENCE_FEATURES.maxValueBytes),
    )
  if (over) throw new SnapshotError('LimitExceeded', 'a key, a value or the lineage is too large')
}

/** The pid of the holder in a file; a holder that is gone holds nothing. */
async function takeLock(path: string): Promise<void> {
  try {
    await writeFile(`${path}.lock`, `${process.pid}`, { flag: 'wx' })
  } catch {
    const holder = Number(await readFile(`${path}.lock`, 'utf8'))
    if (alive(holder)) throw new SnapshotError('Busy', `${path} is held by process ${holder}`, { path })
    await writeFile(`${path}.lock`, `${process.pid}`)
  }
}

async function dropLock(path: string): Promise<void> {
  await rm(`${path}.lock`, { force: true })
}

function alive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
