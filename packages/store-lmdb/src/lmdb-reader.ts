import { access, constants, stat } from 'node:fs/promises'
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
import { openEnvironment, readLineage, type Environment } from './environment.ts'
import { checkFile, checkLockFile } from './file-check.ts'
import { FoldCut } from './fold-cut.ts'
import { CURRENT_NAME, damageMark, readCurrent } from './fold-directory.ts'
import { FoldReads } from './fold-reads.ts'
import { GENERATION, type FoldState } from './fold-state.ts'
import { fileUsage, type FileUsage } from './file-usage.ts'
import { FoldView } from './fold-view.ts'
import { DEFAULT_MAX_READERS, type LmdbOptions } from './lmdb-options.ts'
import { COPY_NAME, lmdbPayload } from './lmdb-payload.ts'
import { asIo } from './io-error.ts'
import { isSetBack } from './newest-commit.ts'
import { syncFile } from './sync-file.ts'

const OPEN_ATTEMPTS = 5
/** As long as a writer that lives may need, and some. */
const MEND_LOOKS = 30
const MEND_PAUSE_MS = 10
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
  #open: OpenFile
  #reopening: Promise<void> | undefined
  #closed = false

  private constructor(options: LmdbReaderOptions, directory: string, open: OpenFile) {
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
      return new LmdbReader(options, directory, await openFile(directory, options))
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
        const opened = await openFile(this.#directory, this.#options)
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

/** One file of a fold, open for reading. */
class OpenFile {
  readonly file: string
  readonly environment: Environment
  /** Which CURRENT named it. */
  readonly currentIno: number
  /** The mark of damage that was there before all of it was read and found whole. */
  readonly checkedMark: string | undefined
  readonly #cuts = new Set<FoldCut>()
  cut: FoldCut
  #retired = false
  #closing: Promise<void> | undefined

  private constructor(
    file: string,
    environment: Environment,
    named: { readonly currentIno: number; readonly checkedMark: string | undefined },
  ) {
    this.file = file
    this.environment = environment
    this.currentIno = named.currentIno
    this.checkedMark = named.checkedMark
    this.cut = this.#newest({ show: false })
  }

  /**
   * What arrived in a fold that is filled in bulk is checked before it is shown: it is read through the library.
   * Closes the environment where that fails. SnapshotError `Corrupted`, `Io`.
   */
  static async over(
    environment: Environment,
    file: string,
    named: { readonly currentIno: number; readonly checkedMark: string | undefined },
  ): Promise<OpenFile> {
    let opened: OpenFile | undefined
    try {
      opened = new OpenFile(file, environment, named)
      if (opened.cut.layers !== undefined)
        await checkFile(file, 'head', { named: true, live: true, pinned: true })
      await opened.cut.prepare()
      return opened
    } catch (error) {
      await (opened?.end() ?? environment.root.close())
      throw error
    }
  }

  /** Goes to the newest commit; stays where it is where others set back where transactions begin. */
  renew(): void {
    const next = this.#newest({ show: true })
    if (next.state.commit < this.cut.state.commit) {
      next.release()
      return
    }
    this.cut.release()
    this.cut = next
  }

  /** Closes the file when the last view of it is. */
  retire(): void {
    this.#retired = true
    this.cut.release()
    this.#closeIfUnused()
  }

  /** Ends every read, and closes the file. */
  async end(): Promise<void> {
    for (const cut of this.#cuts) cut.end()
    await this.#close()
  }

  #newest(how: { readonly show: boolean }): FoldCut {
    const ended = (): void => {
      this.#cuts.delete(cut)
      this.#closeIfUnused()
    }
    const cut: FoldCut = FoldCut.newest(this.environment, this.file, ended, how)
    this.#cuts.add(cut)
    return cut
  }

  #closeIfUnused(): void {
    if (this.#retired && this.#cuts.size === 0) void this.#close()
  }

  async #close(): Promise<void> {
    this.#closing ??= this.environment.root.close()
    await this.#closing
  }
}

async function openFile(directory: string, options: LmdbReaderOptions): Promise<OpenFile> {
  for (let attempt = 1; ; attempt++) {
    // Before it is read, so that a swap in between shows.
    const { ino } = await stat(join(directory, CURRENT_NAME)).catch(absent)
    const current = await readCurrent(directory)
    if (current === undefined || ino === undefined) throw notFound(directory)
    const file = join(directory, current.name)
    const checkedMark = damageMark(directory)
    try {
      const { foldId, commit } = await checkFile(file, 'head', { named: true, live: true })
      if (Buffer.compare(foldId, current.foldId) !== 0)
        throw new SnapshotError('ForeignFold', `${file} belongs to another fold`, { path: file })
      await checkLockFile(file)
      const environment = await openEnvironment(file, {
        // So that a writer that joins it in this process can keep its word.
        synced: true,
        reads: await isWritable(file),
        maxReaders: options.maxReaders ?? DEFAULT_MAX_READERS,
      })
      const opened = await OpenFile.over(environment, file, { currentIno: ino, checkedMark })
      if (checkedMark !== undefined) await mustBeWhole(opened)
      // Who opens it may set back where transactions begin. Its writer mends that; where none lives, opening it again does.
      const isBehind = (): boolean => opened.cut.state.commit < commit || isSetBack(environment)
      for (let look = 0; look < MEND_LOOKS && isBehind(); look++) {
        await delay(MEND_PAUSE_MS)
        opened.renew()
      }
      if (!isBehind() || attempt >= OPEN_ATTEMPTS) return opened
      await opened.end()
    } catch (error) {
      // It was replaced since CURRENT was read.
      if (!(SnapshotError.is(error) && error.code === 'NotFound') || attempt >= OPEN_ATTEMPTS) throw error
    }
  }
}

/** Reads every page and record of a file, whose newest commit stays in place meanwhile; closes it where it is damaged. */
async function mustBeWhole(opened: OpenFile): Promise<void> {
  try {
    await checkFile(opened.file, 'records', { named: true, live: true })
  } catch (error) {
    await opened.end()
    throw error
  }
}

function absent(error: unknown): { readonly ino: undefined } {
  if (!['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '')) throw error
  return { ino: undefined }
}

async function isWritable(file: string): Promise<'writableFile' | 'readOnlyFile'> {
  return access(file, constants.W_OK).then(
    () => 'writableFile',
    () => 'readOnlyFile',
  )
}

function notFound(path: string, cause?: unknown): SnapshotError {
  return new SnapshotError('NotFound', `there is no fold at ${path}`, { path, cause })
}
