import { constants } from 'node:fs'
import {
  copyFile,
  mkdir,
  open,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
  type FileHandle,
} from 'node:fs/promises'
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
  readonly #path: string
  #file: FileHandle
  #bytes: number
  #state: FoldState
  #open = true

  private constructor(
    path: string,
    file: FileHandle,
    bytes: number,
    state: FoldState,
    recovery: Recovery | undefined,
  ) {
    super(() => (this.#open ? this.#state : closed()))
    this.#path = path
    this.#file = file
    this.#bytes = bytes
    this.#state = state
    this.recovery = recovery
    this.durableCursor = state.cursor
  }

  static async open(path: string): Promise<ReferenceStore> {
    await takeLock(path)
    let file: FileHandle | undefined
    try {
      file = await open(path, constants.O_RDWR | constants.O_CREAT)
      const { state, length, recovery } = recover(await file.readFile(), path)
      await file.truncate(length)
      const bytes = length === 0 ? (await file.write(header(), 0)).bytesWritten : length
      await file.sync()
      await rm(`${path}.staged`, { force: true })
      return new ReferenceStore(path, file, bytes, state, recovery)
    } catch (error) {
      await file?.close()
      await dropLock(path)
      throw error
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
    const { bytesWritten } = await this.#file.write(encodeApply(batch, cursor, options.lineage), this.#bytes)
    this.#bytes += bytesWritten
    this.#state = next
  }

  async sync(): Promise<WatchCursor> {
    if (!this.#open) closed()
    const { cursor } = this.#state
    await this.#file.sync()
    this.durableCursor = cursor
    return cursor
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
    return {
      apply: async (batch, cursor, options = {}) => {
        checkLimits(batch, options)
        text += encodeApply(batch, cursor, options.lineage)
        state = advance(state, batch, cursor, options.lineage)
      },
      has: (key) => state.live.has(key),
      commit: async () => {
        await writeFile(path, text, { flush: true })
        await rename(path, this.#path)
        await this.#file.close()
        this.#file = await open(this.#path, constants.O_RDWR)
        this.#bytes = Buffer.byteLength(text)
        this.#state = state
        this.durableCursor = state.cursor
      },
      discard: async () => {
        state = EMPTY
      },
    }
  }

  async close(): Promise<void> {
    if (!this.#open) return
    this.#open = false
    await this.#file.sync()
    await this.#file.close()
    await dropLock(this.#path)
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

export function referenceLocation(path: string): SnapshotLocation {
  const exists = async (): Promise<boolean> =>
    stat(path).then(
      () => true,
      () => false,
    )
  return {
    backend: 'reference',
    open: () => ReferenceStore.open(path),
    exists,
    setAside: async () => {
      let aside = `${path}.aside`
      for (let n = 1; await stat(aside).catch(() => undefined); n++) aside = `${path}.aside-${n}`
      await rename(path, aside)
      return aside
    },
    adopt: async (directory) => {
      if (await exists()) throw new SnapshotError('AlreadyExists', `${basename(path)} exists`, { path })
      await copyFile(join(directory, 'fold'), path)
    },
  }
}

/** Loadable by a child process: `childModule` of the fixtures. */
export default referenceLocation

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
