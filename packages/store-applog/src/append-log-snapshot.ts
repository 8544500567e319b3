import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import {
  Slices,
  SnapshotError,
  WatchCursor,
  type ApplyOptions,
  type CopyOptions,
  type KvUpdate,
  type ListedKey,
  type PayloadFormat,
  type Recovery,
  type SnapshotStore,
  type SnapshotView,
  type StagedFold,
  type StoreFeatures,
  type StoreStats,
  type WaitOptions,
} from '@slip/kv-core'
import type { AppendLogOptions } from './append-log-options.ts'
import { appendLogPayload, COPY_NAME } from './append-log-payload.ts'
import { maxValueBytes } from './commit-encoder.ts'
import { mustBePolicy } from './compaction.ts'
import { Compactor, type CompactionResult } from './compactor.ts'
import { nodeFileSystem, Turns, type FileSystem, type WriterLock } from '@slip/kv-core/store-parts'
import { FoldView } from './fold-view.ts'
import { LogDraft } from './log-draft.ts'
import type { Generation } from './log-header.ts'
import { LogWriter } from './log-writer.ts'
import { Maintenance } from './maintenance.ts'
import { ForwardedReads } from './forwarded-reads.ts'
import { MemoryFold, type FoldReads } from './memory/memory-fold.ts'
import { openLog, type OpenLog } from './open-log.ts'
import { MAX_KEY_BYTES } from './record-2.ts'
import { writeFold, type FoldState } from './rewrite.ts'
import { StagedLog } from './staged-log.ts'

/**
 * A fold in memory whose applies go to an append log: the default store.
 *
 * `durability` decides what has reached the disk when `apply` resolves. With `'os'` (the default) the
 * operating system has it: it survives the death of the process, not that of the machine.
 */
export class AppendLogSnapshot extends ForwardedReads implements SnapshotStore {
  readonly recovery: Recovery | undefined
  readonly payload: PayloadFormat = appendLogPayload
  /** Not there while the file is of generation 2, which keeps no names of deleted keys. */
  deletedKeys?: (prefix?: string) => IterableIterator<ListedKey>
  readonly #path: string
  readonly #files: FileSystem
  readonly #lock: WriterLock
  readonly #writer: LogWriter
  readonly #turns: Turns = new Turns()
  readonly #maintenance: Maintenance = new Maintenance()
  readonly #compactor: Compactor
  readonly #syncEach: boolean
  readonly #syncTimer: NodeJS.Timeout | undefined
  readonly #ended: AbortController = new AbortController()
  #fold: MemoryFold
  #cursor: WatchCursor
  #lineage: Uint8Array | undefined
  #durable: WatchCursor
  /** A failed sync before this handle: only a rewrite makes durable what is there. */
  #rewriteToSync: boolean
  #staged: StagedLog | undefined
  #closing: Promise<void> | undefined

  private constructor(files: FileSystem, options: AppendLogOptions, opened: OpenLog<MemoryFold>) {
    super()
    this.#files = files
    this.#path = opened.path
    this.#lock = opened.lock
    this.#writer = new LogWriter(files, opened.lock, opened)
    this.#fold = opened.fold
    this.#cursor = opened.cursor
    this.#lineage = opened.lineage
    this.#durable = opened.durable ? opened.cursor : WatchCursor.none
    this.#rewriteToSync = !opened.durable
    this.recovery = opened.recovery
    this.#compactor = new Compactor({
      files,
      path: opened.path,
      target: targetGeneration(opened.generation, options.format),
      policy: options.compact ?? {},
      writer: this.#writer,
      turns: this.#turns,
      ended: this.#ended.signal,
      now: () => this.#now(),
      replaced: () => {
        this.#durable = this.#cursor
        this.#rewriteToSync = false
        this.#offerDeletedKeys()
      },
    })
    const durability = options.durability ?? 'os'
    this.#syncEach = durability === 'batch'
    if (typeof durability === 'object') {
      this.#syncTimer = setInterval(() => void this.sync().catch(() => undefined), durability.intervalMs)
      this.#syncTimer.unref()
    }
    this.#offerDeletedKeys()
    this.#maintenance.poke(this.#fold)
  }

  /**
   * Opens or makes the log at `path` and takes its lock. SnapshotError `Busy` names the process that
   * has it; `InvalidFormat` with `at` 0 a file that is not ours; `Corrupted` or `InvalidFormat` damage
   * before the tail. None of them changes the file. `files` is for tests.
   */
  static async open(
    options: AppendLogOptions & WaitOptions,
    files: FileSystem = nodeFileSystem,
  ): Promise<AppendLogSnapshot> {
    mustBePolicy(options.compact ?? {})
    const opened = await openLog<MemoryFold>(files, options, (generation) => {
      const keepDeleted = targetGeneration(generation ?? options.format ?? 3, options.format) === 3
      return new MemoryFold({ keepDeleted })
    })
    return new AppendLogSnapshot(files, options, opened)
  }

  get features(): StoreFeatures {
    const native = this.#writer.generation === 3
    return {
      views: true,
      lineage: native,
      deletedKeys: native,
      staging: true,
      durable: true,
      multiProcessReaders: true,
      maxKeyBytes: MAX_KEY_BYTES,
      maxValueBytes: maxValueBytes(native ? 3 : 2),
    }
  }

  /** Which layout the file has at the moment. */
  get generation(): Generation {
    return this.#writer.generation
  }

  get cursor(): WatchCursor {
    return this.#cursor
  }

  get durableCursor(): WatchCursor {
    return this.#durable
  }

  get lineage(): Uint8Array | undefined {
    return this.#writer.generation === 3 ? this.#lineage?.slice() : undefined
  }

  get stats(): StoreStats {
    return {
      entries: this.#fold.entriesCount,
      deletedKeys: this.#writer.generation === 3 ? this.#fold.deletedCount : 0,
      bytes: this.#writer.end,
    }
  }

  protected readable(): FoldReads {
    return this.#reads()
  }

  #offerDeletedKeys(): void {
    if (this.#writer.generation === 3) this.deletedKeys = (prefix) => this.#reads().deletedKeys(prefix)
  }

  view(options: { readonly deadlineMs?: number } = {}): SnapshotView {
    return new FoldView(this.#reads().view(), this.#cursor, options.deadlineMs)
  }

  async apply(batch: readonly KvUpdate[], cursor: WatchCursor, options: ApplyOptions = {}): Promise<void> {
    // Before anything is committed: a rewrite that fails leaves the fold as it was.
    if (this.#syncEach && this.#rewriteToSync) await this.compact()
    await this.#turns.take(async () => {
      this.#reads()
      const { lineage } = options
      const commit = await this.#writer.commit(batch, cursor, lineage)
      if (this.#syncEach) await this.#syncFile()
      // In one step: a read must not see half a commit.
      const slices = new Slices('applog.index')
      this.#fold.putRecords(commit.native, commit.nativeFrom, commit.nativeTo)
      slices.end()
      this.#cursor = cursor
      if (lineage !== undefined) this.#lineage = lineage.slice()
      if (this.#syncEach) this.#durable = cursor
    })
    this.#maintenance.poke(this.#fold)
    if (this.#closing === undefined) this.#compactor.startIfDue()
  }

  async sync(): Promise<WatchCursor> {
    if (this.#rewriteToSync) await this.compact()
    return this.#turns.take(async () => {
      this.#reads()
      if (!this.#durable.equals(this.#cursor)) {
        await this.#syncFile()
        this.#durable = this.#cursor
      }
      return this.#durable
    })
  }

  /**
   * Rewrites the log without its garbage, beside applies and reads. A failure leaves the old log in use
   * and the store usable. Resolves with the sizes in bytes.
   */
  async compact(options: WaitOptions = {}): Promise<CompactionResult> {
    this.#reads()
    return this.#compactor.run(options.signal)
  }

  async copyTo(
    directory: string,
    options: CopyOptions = {},
  ): Promise<{ readonly cursor: WatchCursor; readonly files: readonly string[] }> {
    const { generation } = this.#writer
    await mkdir(directory, { recursive: true, mode: 0o700 })
    const name = COPY_NAME[generation]
    const draft = await LogDraft.create(this.#files, join(directory, name), generation, {
      keepExisting: true,
    })
    try {
      const { cursor } = await writeFold(draft, () => this.#now(), this.#turns, options)
      await draft.seal()
      await draft.close()
      return { cursor, files: [name] }
    } catch (error) {
      await draft.discard()
      throw error
    }
  }

  async stage(options: WaitOptions = {}): Promise<StagedFold> {
    this.#reads()
    options.signal?.throwIfAborted()
    await this.#staged?.discard()
    const staged = await StagedLog.create(this.#files, this.#path, this.#writer.generation, async (full) =>
      this.#adopt(full),
    )
    this.#staged = staged
    return staged
  }

  async close(): Promise<void> {
    this.#closing ??= this.#close()
    await this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #close(): Promise<void> {
    clearInterval(this.#syncTimer)
    this.#maintenance.stop()
    this.#ended.abort(new SnapshotError('Closed', 'the store was closed', { path: this.#path }))
    await this.#compactor.idle()
    await this.#staged?.discard()
    try {
      await this.#turns.take(async () => {
        if (this.#writer.failure !== undefined || this.#durable.equals(this.#cursor)) return
        await this.#syncFile()
        if (!this.#rewriteToSync) this.#durable = this.#cursor
      })
    } finally {
      await this.#writer.close().catch(() => undefined)
      await this.#lock.release()
    }
  }

  /** The fold to read from; SnapshotError `Closed` after close. */
  #reads(): MemoryFold {
    if (this.#closing !== undefined)
      throw new SnapshotError('Closed', `${this.#path} is closed`, { path: this.#path })
    return this.#fold
  }

  async #syncFile(): Promise<void> {
    await this.#writer.sync()
  }

  /** The state between two applies. */
  #now(): FoldState {
    return { fold: this.#reads(), cursor: this.#cursor, lineage: this.#lineage, end: this.#writer.end }
  }

  async #adopt(staged: StagedLog): Promise<void> {
    await this.#compactor.idle()
    await this.#turns.take(async () => {
      this.#reads()
      await this.#writer.replace(staged.draft)
      this.#fold = staged.fold
      this.#cursor = staged.cursor
      this.#lineage = staged.lineage
      this.#durable = staged.cursor
      this.#rewriteToSync = false
      this.#staged = undefined
    })
    this.#maintenance.poke(this.#fold)
  }
}

/** A log stays what it is when asked to be generation 2; otherwise it becomes native. */
export function targetGeneration(generation: Generation, format: Generation | undefined): Generation {
  return generation === 2 && format === 2 ? 2 : 3
}
