import { statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import {
  KvError,
  SnapshotError,
  type CopyOptions,
  type PayloadFormat,
  type SnapshotView,
  type StoreStats,
  type WaitOptions,
  type WatchCursor,
} from '@slip/kv-core'
import { canonicalPath, currentHolder, nodeFileSystem, systemCode } from '@slip/kv-core/store-parts'
import { copyTo } from './copy-to.ts'
import { DamageWatch } from './damage-watch.ts'
import { readLineage } from './environment.ts'
import { checkFile } from './file-check.ts'
import type { FoldCut } from './fold-cut.ts'
import { CURRENT_NAME, damageMark } from './fold-directory.ts'
import { FoldReads } from './fold-reads.ts'
import { GENERATION, type FoldState } from './fold-state.ts'
import { fileUsage, type FileUsage } from './file-usage.ts'
import { FoldView } from './fold-view.ts'
import type { LmdbOptions } from './lmdb-options.ts'
import { COPY_NAME, lmdbPayload } from './lmdb-payload.ts'
import { asIo } from './io-error.ts'
import { notFound, openReaderFile, type ReaderFile } from './reader-file.ts'
import { syncFile } from './sync-file.ts'

const FIRST_POLL_MS = 1
const SLOWEST_POLL_MS = 50

/** What a reader needs to know of where a fold is. */
export type LmdbReaderOptions = Pick<LmdbOptions, 'path' | 'maxReaders' | 'verifyReads'>

/** Which fold was checked, and at which commit. */
export type CheckedCommit = Pick<FoldState, 'foldId' | 'cursor' | 'entries' | 'deletedKeys'>

/**
 * Reads a fold that another process or thread writes, without its lock. What it shows is one commit,
 * the same until `refresh`, and never an earlier one after that.
 */
export class LmdbReader extends FoldReads implements AsyncDisposable {
  /** Of the layout. */
  readonly generation: number = GENERATION
  protected readonly verifyReads: boolean
  readonly #options: LmdbReaderOptions
  readonly #directory: string
  readonly payload: PayloadFormat = lmdbPayload
  readonly #copies = new Set<Promise<unknown>>()
  readonly #damage = new DamageWatch()
  #open: ReaderFile
  #reopening: Promise<void> | undefined
  #closed = false

  private constructor(options: LmdbReaderOptions, directory: string, open: ReaderFile) {
    super()
    this.#options = options
    this.verifyReads = options.verifyReads === true
    this.#directory = directory
    this.#open = open
  }

  /**
   * SnapshotError `NotFound` before the first writer; `InvalidFormat`, `Corrupted`, `Io` as for a writer: where
   * damage was found in the fold while it was open, all of it is read first.
   */
  static async open(options: LmdbReaderOptions & WaitOptions): Promise<LmdbReader> {
    try {
      const directory = await canonicalPath(nodeFileSystem, options.path, false)
      return new LmdbReader(options, directory, await openReaderFile(directory, options))
    } catch (error) {
      if (systemCode(error) === 'ENOENT') throw notFound(options.path, error)
      throw asIo(error, 'opening', options.path)
    }
  }

  get lineage(): Uint8Array | undefined {
    return readLineage(this.#open.environment.meta, this.cut().options)
  }

  get stats(): StoreStats {
    const { entries, deletedKeys } = this.cut().state
    const bytes = statSync(this.#open.file, { throwIfNoEntry: false })?.size ?? 0
    return { entries, deletedKeys, bytes }
  }

  /**
   * Goes to the newest commit, and says which. A fold that replaced this one is there some milliseconds later.
   * SnapshotError `Corrupted` since damage was found in the fold by who writes it, until another has replaced it:
   * views of before go on, nothing else is read.
   */
  refresh(): WatchCursor {
    this.#mustBeOpen()
    const current = statSync(join(this.#directory, CURRENT_NAME), { throwIfNoEntry: false })
    if (current !== undefined && current.ino !== this.#open.currentIno) this.#reopen()
    else this.#lookForDamage()
    this.#damage.throwIfFound()
    this.#open.renew()
    return this.cursor
  }

  /**
   * Resolves when the fold shows this revision or a later one. KvError `Timeout`; SnapshotError `Closed`, and
   * `Corrupted` as `refresh`.
   */
  async waitFor(revision: bigint, options: WaitOptions = {}): Promise<void> {
    const deadline = performance.now() + (options.timeoutMs ?? Number.POSITIVE_INFINITY)
    for (let pause = FIRST_POLL_MS; ; pause = Math.min(2 * pause, SLOWEST_POLL_MS)) {
      options.signal?.throwIfAborted()
      if ((this.refresh().revision ?? -1n) >= revision) return
      if (performance.now() >= deadline)
        throw new KvError(
          'Timeout',
          `the fold at ${this.#directory} did not reach revision ${revision} in time`,
        )
      await delay(pause, undefined, { signal: options.signal }).catch(() => options.signal?.throwIfAborted())
      await this.#reopening
    }
  }

  /** Who has the fold open for writing, when anybody does. */
  async holder(): Promise<{ readonly pid: number; readonly host: string } | undefined> {
    const found = await currentHolder(nodeFileSystem, this.#directory)
    return found && { pid: found.pid, host: found.host }
  }

  /** How the file is used, by this commit and by all readers. */
  async usage(): Promise<FileUsage> {
    const { environment } = this.cut()
    return fileUsage(this.#open.file, environment)
  }

  /**
   * Reads every page and record of the newest commit by plain reads, beside a writer too: nothing is used
   * again of what the commit shown here can see. SnapshotError `Corrupted` with `at`.
   */
  async check(options: WaitOptions = {}): Promise<CheckedCommit> {
    const cut = this.cut().retain()
    try {
      return await checkFile(this.#open.file, 'records', { named: true, live: true, signal: options.signal })
    } finally {
      cut.release()
    }
  }

  /** Stays at the commit shown now, whatever `refresh` does. */
  view(options: { readonly deadlineMs?: number } = {}): SnapshotView {
    return new FoldView(this.cut(), { verifyReads: this.verifyReads, deadlineMs: options.deadlineMs })
  }

  /** Writes a copy of the newest commit, durable when it resolves, to a directory that is made or empty. */
  async copyTo(
    directory: string,
    options: CopyOptions = {},
  ): Promise<{ readonly cursor: WatchCursor; readonly files: readonly string[] }> {
    options.onPinned?.()
    // The library ends the process where it copies a damaged page.
    await this.check(options)
    // Keeps the file open should another one replace it.
    const cut = this.cut().retain()
    const { environment } = this.#open
    const copying = copyTo(directory, options.signal, async (file) => {
      await environment.root.backup(file, true)
      await syncFile(file)
    })
    this.#copies.add(copying)
    try {
      return { cursor: await copying, files: [COPY_NAME] }
    } finally {
      this.#copies.delete(copying)
      cut.release()
    }
  }

  /** Idempotent. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#reopening
    await Promise.allSettled(this.#copies)
    await this.#open.end()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  protected cut(): FoldCut {
    this.#mustBeOpen()
    this.#damage.throwIfFound()
    return this.#open.cut
  }

  #mustBeOpen(): void {
    if (this.#closed) throw new SnapshotError('Closed', 'the reader is closed')
  }

  /** A mark that was there when this file was opened is of a fold that was read whole since. */
  #lookForDamage(): void {
    const mark = damageMark(this.#directory)
    if (mark === undefined || mark === this.#open.checkedMark) return
    const { file } = this.#open
    this.#damage.tell(
      new SnapshotError('Corrupted', `damage was found in ${file} by who writes it`, { path: file }),
    )
  }

  #reopen(): void {
    this.#reopening ??= (async () => {
      try {
        const opened = await openReaderFile(this.#directory, this.#options)
        if (this.#closed) await opened.end()
        else {
          const before = this.#open
          this.#open = opened
          this.#damage.forget()
          before.retire()
        }
      } catch {
        // The file it has goes on being read; the next refresh tries again.
      } finally {
        this.#reopening = undefined
      }
    })()
  }
}
