import { SnapshotError, WatchCursor, type KvUpdate } from '@slip/kv-core'
import type { AppendLogOptions } from './append-log-options.ts'
import { targetGeneration } from './append-log-snapshot.ts'
import { nodeFileSystem, Turns, type FileSystem } from '@slip/kv-core/store-parts'
import { damageError, DISCARD, loadLog, type FoldSink } from './load-log.ts'
import { LogWriter } from './log-writer.ts'
import { MemoryFold } from './memory/memory-fold.ts'
import { openLog, type OpenLog } from './open-log.ts'
import { rewriteLog } from './rewrite.ts'

const DEFAULT_THRESHOLD_BYTES = 16 * 1024 * 1024

/**
 * Writes a log for a program that keeps its own state; no fold is held in memory.
 *
 * A checkpoint is one commit: what was written since the last one does not survive a reopen before it
 * (generation 2: unless `flush` was called). Methods are called one at a time.
 */
export class SnapshotWriter implements AsyncDisposable {
  readonly #files: FileSystem
  readonly #opened: OpenLog<FoldSink>
  readonly #options: AppendLogOptions
  readonly #writer: LogWriter
  readonly #turns: Turns = new Turns()
  readonly #thresholdBytes: number
  #written: KvUpdate[] = []
  #cursor: WatchCursor
  #compactFromBytes: number
  #closed = false

  private constructor(
    files: FileSystem,
    options: AppendLogOptions & { readonly compactThresholdBytes?: number },
    opened: OpenLog<FoldSink>,
  ) {
    this.#files = files
    this.#options = options
    this.#opened = opened
    this.#writer = new LogWriter(files, opened.lock, opened)
    this.#cursor = opened.cursor
    this.#thresholdBytes = options.compactThresholdBytes ?? DEFAULT_THRESHOLD_BYTES
    this.#compactFromBytes = this.#thresholdBytes
  }

  /**
   * Opens or makes the log and takes its lock. `compactThresholdBytes` (default 16 MiB) is the size
   * from which `checkpoint` may say that compaction is due. Errors as `AppendLogSnapshot.open`.
   */
  static async open(
    options: AppendLogOptions & { readonly compactThresholdBytes?: number },
    files: FileSystem = nodeFileSystem,
  ): Promise<SnapshotWriter> {
    return new SnapshotWriter(files, options, await openLog(files, options, () => DISCARD))
  }

  /** Where the last checkpoint stands. */
  get cursor(): WatchCursor {
    return this.#cursor
  }

  /** Takes an update into the next checkpoint. */
  write(update: KvUpdate): void {
    this.#mustBeOpen()
    this.#written.push(update)
  }

  /**
   * Commits what was written, with this cursor. True when `compact()` is due. SnapshotError
   * `LimitExceeded` for what the log cannot hold: nothing of it is written, and it is dropped.
   */
  async checkpoint(cursor: WatchCursor): Promise<boolean> {
    this.#mustBeOpen()
    const batch = this.#written
    this.#written = []
    await this.#writer.commit(batch, cursor, undefined)
    this.#cursor = cursor
    if (this.#options.durability === 'batch') await this.#writer.sync()
    return this.#writer.end >= this.#compactFromBytes
  }

  /** Makes every checkpoint durable; in generation 2 also what was written since, under the last cursor. */
  async flush(): Promise<void> {
    this.#mustBeOpen()
    if (this.#writer.generation === 2 && this.#written.length > 0) await this.checkpoint(this.#cursor)
    await this.#writer.sync()
  }

  /** Rewrites the log as its live records, read back from the file. A failure leaves the old log in use. */
  async compact(): Promise<void> {
    this.#mustBeOpen()
    const { path } = this.#opened
    const target = targetGeneration(this.#writer.generation, this.#options.format)
    const { handle, to } = this.#writer.stretch(0)
    const loaded = await loadLog(handle, path, () => new MemoryFold({ keepDeleted: target === 3 }), {
      size: to,
    })
    if (loaded.verdict.verdict === 'corrupt') throw damageError(loaded.verdict, path)
    const { fold, cursor, lineage } = loaded
    await rewriteLog(
      this.#files,
      path,
      target,
      {
        writer: this.#writer,
        turns: this.#turns,
        now: () => ({ fold, cursor, lineage, end: to }),
        replaced: () => undefined,
      },
      new AbortController().signal,
    )
    this.#compactFromBytes = Math.max(this.#thresholdBytes, 2 * this.#writer.end)
  }

  /** Makes every checkpoint durable and lets go of the lock. Idempotent. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    try {
      if (this.#writer.failure === undefined) await this.#writer.sync()
    } finally {
      await this.#writer.close().catch(() => undefined)
      await this.#opened.lock.release()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #mustBeOpen(): void {
    if (this.#closed)
      throw new SnapshotError('Closed', `${this.#opened.path} is closed`, { path: this.#opened.path })
  }
}
