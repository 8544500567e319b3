import { basename } from 'node:path'
import {
  SnapshotError,
  WatchCursor,
  type ApplyOptions,
  type CopyOptions,
  type KvUpdate,
  type PayloadFormat,
  type Recovery,
  type SnapshotStore,
  type SnapshotView,
  type StagedFold,
  type StoreFeatures,
  type StoreStats,
  type WaitOptions,
} from '@slip/kv-core'
import { Turns, type WriterLock } from '@slip/kv-core/store-parts'
import { lookForCalmMs } from './flood.ts'
import { BackgroundWalk, type WalkProgress } from './background-walk.ts'
import { DamageWatch } from './damage-watch.ts'
import type { FoldCut } from './fold-cut.ts'
import { copyTo } from './copy-to.ts'
import {
  forgetDoubt,
  isStill,
  markDamaged,
  unmarkDamaged,
  unmarkUnsynced,
  writeCurrent,
  type CurrentFold,
} from './fold-directory.ts'
import { FoldFiles, removeFile } from './fold-files.ts'
import { FoldReads } from './fold-reads.ts'
import { GENERATION } from './fold-state.ts'
import { fileUsage, type FileUsage } from './file-usage.ts'
import { FoldView } from './fold-view.ts'
import { LayerSettler } from './layer-settler.ts'
import type { LmdbOptions } from './lmdb-options.ts'
import { COPY_NAME, lmdbPayload } from './lmdb-payload.ts'
import { asIo } from './io-error.ts'
import {
  isSynced,
  mustHold,
  openDirectory,
  openFile,
  reserveRoom,
  type OpenDirectory,
} from './open-directory.ts'
import type { OpenFold } from './open-fold.ts'
import { stageFile } from './stage-file.ts'
import type { StagedFile } from './staged-fold.ts'
import { FEATURES } from './store-features.ts'

const CLEAR_READERS_MS = 30_000
/** For how long those who open the fold elsewhere may see an older commit because of another who does. */
const MEND_MS = 100

/**
 * A fold on disk in LMDB, for folds larger than memory and for readers in other processes.
 *
 * Commits are made in a thread of their own. `durability` decides what has reached the disk when `apply`
 * resolves; with `'batch'`, the default, all of it.
 */
export class LmdbSnapshot extends FoldReads implements SnapshotStore {
  readonly features: StoreFeatures = FEATURES
  /** Of the layout. */
  readonly generation: number = GENERATION
  /** A commit is whole or not there: opening never repairs anything. */
  readonly recovery: Recovery | undefined = undefined
  readonly payload: PayloadFormat = lmdbPayload
  protected readonly verifyReads: boolean
  readonly #directory: string
  readonly #options: LmdbOptions
  readonly #lock: WriterLock
  readonly #files: FoldFiles
  readonly #turns: Turns = new Turns()
  readonly #settler: LayerSettler
  readonly #timers: NodeJS.Timeout[] = []
  readonly #damage = new DamageWatch()
  readonly #walk: BackgroundWalk | undefined
  #fold: OpenFold
  /** Of the files that were in use before. */
  #clearedBefore = 0
  #durable: WatchCursor
  /** False where a sync failed before: only a new file proves anything. */
  #provable: boolean
  #staged: StagedFile | undefined
  /** Nothing is merged meanwhile. */
  #staging = false
  #closing: Promise<void> | undefined

  private constructor(options: LmdbOptions, { directory, lock, fold, durable }: OpenDirectory) {
    super()
    this.#options = options
    this.#directory = directory
    this.#lock = lock
    this.#files = new FoldFiles(directory, options)
    this.#fold = fold
    this.#durable = durable ? fold.cut.state.cursor : WatchCursor.none
    this.#provable = durable
    this.verifyReads = options.verifyReads === true
    const { durability } = options
    if (typeof durability === 'object') this.#every(durability.intervalMs, async () => this.sync())
    this.#settler = new LayerSettler({
      place: this.#files,
      turns: this.#turns,
      fold: () => this.#fold,
      mayMerge: () => this.#closing === undefined && !this.#staging && this.#staged?.isPending !== true,
      adopt: async (next) => this.#swapIn(next),
      suspect: () => this.#walk?.hurry(),
    })
    this.#every(lookForCalmMs(options.bulk), async () => this.#settler.settleWhenCalm())
    if (options.walk !== false)
      this.#walk = new BackgroundWalk(
        () => this.#fold,
        options.walk ?? {},
        async (damage) => this.#end(damage),
      )
    this.#every(MEND_MS, async () => this.#fold.isSetBack && this.#fold.mend())
    this.#every(CLEAR_READERS_MS, async () => this.#turns.take(async () => this.#fold.clearReaders()))
  }

  /**
   * Opens the fold in the directory `path`, or makes one, and takes its lock. SnapshotError `Busy` names
   * the process that has it; `InvalidFormat` with `at` 0 what is not ours; `Corrupted` damage. None of
   * them changes what is there.
   */
  static async open(options: LmdbOptions & WaitOptions): Promise<LmdbSnapshot> {
    return new LmdbSnapshot(options, await openDirectory(options))
  }

  override get cursor(): WatchCursor {
    return this.#fold.cut.state.cursor
  }

  get durableCursor(): WatchCursor {
    return this.#durable
  }

  get lineage(): Uint8Array | undefined {
    return this.#fold.lineage
  }

  get stats(): StoreStats {
    return this.#fold.stats
  }

  /**
   * How many read transactions of processes that died without closing them this handle has given back: what each
   * saw kept the file from using pages again.
   */
  get clearedReaders(): number {
    return this.#clearedBefore + this.#fold.clearedReaders
  }

  /** How far the walk in the background has come; undefined where there is none. */
  get walked(): WalkProgress | undefined {
    return this.#walk?.progress
  }

  /**
   * Calls `listener` once with SnapshotError `Corrupted` when the walk in the background finds damage, at once
   * when it has. From then on reads and commits end with that error, views of before go on, and the next
   * opener reads all of the fold first.
   */
  whenDamaged(listener: (damage: SnapshotError) => void): () => void {
    return this.#damage.listen(listener)
  }

  view(options: { readonly deadlineMs?: number } = {}): SnapshotView {
    return new FoldView(this.cut(), { verifyReads: this.verifyReads, deadlineMs: options.deadlineMs })
  }

  async apply(batch: readonly KvUpdate[], cursor: WatchCursor, options: ApplyOptions = {}): Promise<void> {
    await this.#turns.take(async () => {
      this.#mustBeOpen()
      mustHold(this.#lock, this.#directory)
      await this.#fold.apply(batch, cursor, options)
      this.#settler.applied()
      if (isSynced(this.#options) && this.#provable) this.#durable = cursor
    })
  }

  async sync(): Promise<WatchCursor> {
    return this.#turns.take(async () => {
      this.#mustBeOpen()
      await this.#sync()
      return this.#durable
    })
  }

  /**
   * Merges what a flood of new keys left in layers, now instead of when the flood is over. Reads are right
   * before, and fast after. Batches that come meanwhile are part of it. Does nothing where nothing is to merge.
   */
  async settle(): Promise<void> {
    this.#mustBeOpen()
    await this.#settler.settle()
    this.#mustBeOpen()
  }

  async copyTo(
    directory: string,
    options: CopyOptions = {},
  ): Promise<{ readonly cursor: WatchCursor; readonly files: readonly string[] }> {
    this.#mustBeSound()
    // The library copies the commit that is the newest when it begins: applies wait neither for that nor for the check.
    options.onPinned?.()
    await this.#check(options)
    this.#mustBeSound()
    const cursor = await copyTo(directory, options.signal, async (file) => this.#fold.copyTo(file))
    return { cursor, files: [COPY_NAME] }
  }

  /**
   * Writes the fold to a new file without free pages and swaps it in; reads go on, applies wait, but for those
   * to a fold that is filled in bulk, which is merged as `settle` does. A failure
   * leaves the old file in use, or the handle done where it cannot be told which is. Resolves with the sizes
   * in bytes.
   */
  async compact(options: WaitOptions = {}): Promise<{ readonly before: number; readonly after: number }> {
    await this.#check(options)
    const before = this.stats.bytes
    if (this.#fold.cut.layers !== undefined) {
      await this.settle()
      return { before, after: this.stats.bytes }
    }
    return this.#turns.take(async () => {
      this.#mustBeSound()
      options.signal?.throwIfAborted()
      const { foldId } = this.#fold.cut.state
      const next = { ...(await this.#files.nextFold()), foldId }
      const file = this.#files.pathOf(next)
      try {
        await reserveRoom(file)
        await this.#fold.copyTo(file)
        await this.#swapIn(next)
      } catch (error) {
        if (await isStill(this.#directory, basename(this.#fold.file)))
          await removeFile(file).catch(() => undefined)
        throw asIo(error, 'compacting', this.#directory)
      }
      return { before, after: this.stats.bytes }
    })
  }

  /** How the file is used, by the newest commit and by all readers. */
  async usage(): Promise<FileUsage> {
    return this.#turns.take(async () => fileUsage(this.#fold.file, this.cut().environment))
  }

  async stage(options: WaitOptions = {}): Promise<StagedFold> {
    this.#mustBeOpen()
    options.signal?.throwIfAborted()
    this.#staging = true
    try {
      await this.#staged?.discard()
      await this.#settler.stop()
      return (this.#staged = await stageFile(this.#files, async (next) => {
        await this.#turns.take(async () => this.#swapIn(next))
        this.#staged = undefined
      }))
    } finally {
      this.#staging = false
    }
  }

  async close(): Promise<void> {
    await (this.#closing ??= this.#close())
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  protected cut(): FoldCut {
    this.#mustBeSound()
    return this.#fold.cut
  }

  async #close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer)
    await this.#walk?.close()
    await this.#staged?.discard()
    await this.#settler.stop()
    try {
      await this.#turns.take(async () => {
        if (this.#fold.failure !== undefined) return
        await this.#sync()
        await unmarkUnsynced(this.#directory)
      })
    } finally {
      await this.#fold.close()
      await this.#files.close()
      await this.#lock.release()
    }
  }

  /** Puts a file that is whole and closed in the place of the one in use. */
  async #swapIn(next: CurrentFold): Promise<void> {
    this.#mustBeOpen()
    // Before any reader of this process, which would open it for reading only, learns of it.
    const fold = await openFile(this.#directory, next, this.#options, { make: false, check: 'head' })
    try {
      await writeCurrent(this.#directory, next)
    } catch (error) {
      await fold.close()
      const failure = asIo(error, 'replacing', this.#directory)
      if (!(await isStill(this.#directory, basename(this.#fold.file)))) this.#fold.giveUp(failure)
      throw failure
    }
    const before = this.#fold
    this.#clearedBefore += before.clearedReaders
    this.#fold = fold
    this.#durable = fold.cut.state.cursor
    this.#provable = true
    // The new fold is in use: where the doubt stays, the next opener writes it anew for nothing.
    await forgetDoubt(this.#directory).catch(() => undefined)
    this.#damage.forget()
    await unmarkDamaged(this.#directory).catch(() => undefined)
    await before.retire()
    this.#files.removeLater(before.file)
  }

  async #sync(): Promise<void> {
    const { cursor } = this
    if (this.#durable.equals(cursor)) return
    await this.#fold.sync()
    if (this.#provable) this.#durable = cursor
  }

  /** The mark is there before anybody is told, and opens the fold again. */
  async #end(damage: SnapshotError): Promise<void> {
    await markDamaged(this.#directory)
    this.#fold.giveUp(damage)
    this.#damage.tell(damage)
  }

  /** Reads all of the newest commit: the library ends the process where it copies a damaged page. */
  async #check({ signal }: WaitOptions): Promise<void> {
    this.#mustBeSound()
    signal?.throwIfAborted()
    await this.#fold.check(signal)
  }

  #mustBeSound(): void {
    this.#mustBeOpen()
    this.#damage.throwIfFound()
  }

  #mustBeOpen(): void {
    if (this.#closing !== undefined)
      throw new SnapshotError('Closed', `${this.#directory} is closed`, { path: this.#directory })
  }

  #every(ms: number, work: () => Promise<unknown>): void {
    const timer = setInterval(() => void work().catch(() => undefined), ms)
    timer.unref()
    this.#timers.push(timer)
  }
}
