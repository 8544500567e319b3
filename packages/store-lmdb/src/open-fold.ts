import { dirname } from 'node:path'
import { statSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import {
  MAX_LINEAGE_BYTES,
  SnapshotError,
  type ApplyOptions,
  type KvUpdate,
  type StoreStats,
  type WatchCursor,
} from '@slip/kv-core'
import { markDamaged, markDoubtful } from './fold-directory.ts'
import { encodeBatch } from './batch-encoder.ts'
import { checkFile } from './file-check.ts'
import { sealOf } from './fold-record.ts'
import { openEnvironment, readLineage, type Environment } from './environment.ts'
import { BULK_DEFAULTS, Flood, STAGED_RUN_BYTES, type BulkOptions } from './flood.ts'
import { FoldCut } from './fold-cut.ts'
import { ATTEMPTS, isSetBack } from './newest-commit.ts'
import { syncFile } from './sync-file.ts'
import type { WriterRequest, WriterStart } from './thread-protocol.ts'
import { WriterHandle } from './writer-handle.ts'

const NO_STEPS = new Uint8Array(0)

export interface OpenFoldOptions extends Omit<WriterStart, 'runBytes'> {
  readonly bulk?: BulkOptions | undefined
  /** False where hardly anybody reads before it is closed: what arrived is then not kept in memory for that. */
  readonly isRead: boolean
}

/** One file of a fold, open for writing: a thread that commits, and the newest commit to read from. */
export class OpenFold {
  readonly file: string
  readonly #environment: Environment
  readonly #writer: WriterHandle
  /** Whether a commit is also a sync. */
  readonly #synced: boolean
  readonly #isRead: boolean
  readonly #cuts = new Set<FoldCut>()
  readonly #flood: Flood
  readonly #copies = new Set<Promise<void>>()
  #cut: FoldCut
  #lineage: Uint8Array | undefined
  #bytes = 0
  #failure: SnapshotError | undefined
  #retired: Promise<void> | undefined
  #closed: Promise<void> | undefined
  #allEnded: (() => void) | undefined

  private constructor(
    { file, synced, bulk, isRead }: OpenFoldOptions,
    environment: Environment,
    writer: WriterHandle,
  ) {
    this.file = file
    this.#synced = synced
    this.#isRead = isRead
    this.#flood = new Flood(bulk)
    this.#environment = environment
    this.#writer = writer
    this.#cut = this.#newest()
  }

  /** SnapshotError of the file check; `ForeignFold`, `Busy`, `Backend`, `Io`. */
  static async open({ bulk, isRead, ...rest }: OpenFoldOptions): Promise<OpenFold> {
    const likelyRun = isRead ? BULK_DEFAULTS.runBytes : STAGED_RUN_BYTES
    const start = { ...rest, runBytes: bulk?.runBytes ?? likelyRun }
    const writer = await WriterHandle.start(start)
    let environment: Environment | undefined
    let fold: OpenFold | undefined
    try {
      // The thread has it open already: this is the same file, and its databases are known. For reading, so
      // that this thread never waits for the lock of a commit.
      environment = await openEnvironment(start.file, { ...start, reads: 'writableFile' })
      fold = new OpenFold({ ...start, bulk, isRead }, environment, writer)
      await fold.#renew()
      fold.#lineage = readLineage(environment.meta, fold.#cut.options)
      return fold
    } catch (error) {
      await (fold?.close() ?? environment?.root.close())
      await writer.close().catch(() => undefined)
      throw error
    }
  }

  /** The newest commit. */
  get cut(): FoldCut {
    return this.#cut
  }

  /** The newest commit, kept until it is released. */
  pin(): FoldCut {
    return this.#cut.retain()
  }

  get lineage(): Uint8Array | undefined {
    return this.#lineage?.slice()
  }

  get stats(): StoreStats {
    const { entries, deletedKeys } = this.#cut.state
    try {
      // A fold that was replaced has no file any more.
      this.#bytes = statSync(this.file, { throwIfNoEntry: false })?.size ?? this.#bytes
    } catch {
      // A figure is no reason to fail: it is the last that was known.
    }
    return { entries, deletedKeys, bytes: this.#bytes }
  }

  /** Why it takes nothing any more. */
  get failure(): SnapshotError | undefined {
    return this.#failure
  }

  /**
   * Commits a batch and shows it. `LimitExceeded` and wrong arguments change nothing; after any other
   * rejection it takes nothing any more.
   */
  async apply(batch: readonly KvUpdate[], cursor: WatchCursor, { lineage }: ApplyOptions): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure
    if (lineage !== undefined && lineage.length > MAX_LINEAGE_BYTES)
      throw new SnapshotError(
        'LimitExceeded',
        `a lineage of ${lineage.length} bytes: the limit is ${MAX_LINEAGE_BYTES}`,
      )
    const taken = lineage?.slice()
    const { entries } = this.#cut.state
    this.#flood.comes()
    try {
      const steps = await encodeBatch(batch, sealOf(this.#cut.state), this.#writer.takeSpare())
      await this.#commit(steps, cursor, taken)
    } finally {
      this.#flood.came(batch, this.#cut.state.entries - entries)
    }
  }

  /** Whether what came is in layers, and no more comes for the moment. */
  get shouldMerge(): boolean {
    return this.#cut.layers !== undefined && this.#flood.isOver
  }

  /** Makes a run of what arrived. SnapshotError `Busy` when the fold is another writer's. */
  async seal(): Promise<void> {
    await this.#guarded(async () => {
      await this.#ask({ what: 'seal' })
      await this.#renew()
    })
  }

  /** Commits what is in no run yet, with everything else of the newest commit, to a fold that has the runs. */
  async copyArrivalsTo(target: OpenFold): Promise<void> {
    const { layers, options, state, environment } = this.#cut
    const { from, to } = layers!.arrivals
    for (let i = from; i < to; i++)
      await target.#commit(environment.layers.arrival(i, options), state.cursor, undefined)
    await target.#commit(NO_STEPS.slice(), state.cursor, this.lineage)
  }

  /** Makes every commit so far survive power loss. After a failure no sync of this file proves that any more. */
  async sync(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure
    await this.#guarded(async () => {
      try {
        await syncFile(this.file)
      } catch (error) {
        await markDoubtful(dirname(this.file))
        throw error
      }
    })
  }

  /** Takes nothing any more: CURRENT may name another file. */
  giveUp(why: SnapshotError): void {
    this.#failure ??= why
  }

  /** Takes nothing any more, and gives the memory of writing back. What is committed can be read as before. */
  async endWriting(): Promise<void> {
    this.#failure ??= new SnapshotError('Closed', `${this.file} is complete`, { path: this.file })
    await this.#writer.close()
  }

  /** Reads every page and record of the newest commit. SnapshotError `Corrupted`. */
  async check(signal: AbortSignal | undefined): Promise<void> {
    const cut = this.#cut.retain()
    try {
      await checkFile(this.file, 'records', { named: true, live: true, signal })
    } finally {
      cut.release()
    }
  }

  /**
   * Writes the commit that is the newest when it begins, without free pages, to a file that does not exist.
   * Commits go on meanwhile, and the file stays open until it is done.
   */
  async copyTo(file: string): Promise<void> {
    if (this.#retired !== undefined) throw this.#failure
    const { commit } = this.#cut.state
    const copying = this.#copyOf(file, commit)
    this.#copies.add(copying)
    try {
      await copying
    } finally {
      this.#copies.delete(copying)
    }
    await syncFile(file)
  }

  /** What the library copies may have begun at an older commit than the newest. */
  async #copyOf(file: string, least: bigint): Promise<void> {
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      await this.#environment.root.backup(file, true)
      if ((await checkFile(file, 'head')).commit >= least) return
      await rm(file)
      await this.mend()
    }
    throw new SnapshotError('Backend', `${this.file} lets only an older commit be copied`, {
      path: this.file,
    })
  }

  /** Whether transactions begin at an older commit than the newest, as a process may bring about that opens the file. */
  get isSetBack(): boolean {
    return this.#retired === undefined && isSetBack(this.#environment)
  }

  /** Lets transactions begin at the newest commit again. */
  async mend(): Promise<void> {
    await this.#writer.ask({ what: 'mend' })
  }

  /** How many slots of readers that died were given back so far. */
  get clearedReaders(): number {
    return this.#writer.cleared
  }

  /** Gives the slots of readers that died back. */
  async clearReaders(): Promise<void> {
    await this.#writer.ask({ what: 'clearReaders' })
  }

  /** Ends writing and every read. */
  async close(): Promise<void> {
    for (const cut of this.#cuts) cut.end()
    await this.retire()
    await this.#closed
  }

  /** Ends writing; what reads an earlier cut goes on, and the file is closed after the last. Idempotent. */
  async retire(): Promise<void> {
    this.#retired ??= this.#retire()
    await this.#retired
  }

  async #retire(): Promise<void> {
    this.#failure ??= new SnapshotError('Closed', `${this.file} is closed`, { path: this.file })
    this.#cut.release()
    await this.#writer.close().catch(() => undefined)
    this.#closed = this.#whenUnused().then(async () => this.#environment.root.close())
    if (this.#cuts.size + this.#copies.size === 0) await this.#closed
  }

  async #whenUnused(): Promise<void> {
    if (this.#cuts.size > 0)
      await new Promise<void>((resolve) => {
        this.#allEnded = resolve
      })
    // The library does not look whether somebody is copying.
    await Promise.allSettled(this.#copies)
  }

  async #commit(
    steps: Uint8Array<ArrayBuffer>,
    cursor: WatchCursor,
    lineage: Uint8Array | undefined,
  ): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure
    const layered = this.#flood.isWorthIt(this.#cut.state.entries)
    await this.#guarded(async () => {
      await this.#ask({ what: 'apply', steps, cursor: cursor.toBytes(), lineage, layered })
      await this.#renew()
      if (lineage !== undefined) this.#lineage = lineage
    })
  }

  /** A failure to write leaves open what is on disk; damage that a commit meets the next opener has to find. */
  async #ask(request: WriterRequest): Promise<void> {
    try {
      await this.#writer.ask(request)
    } catch (error) {
      const code = SnapshotError.is(error) ? error.code : undefined
      if (code === 'Io' && this.#synced) await markDoubtful(dirname(this.file))
      if (code === 'Corrupted' && this.#isRead) await markDamaged(dirname(this.file))
      throw error
    }
  }

  async #renew(): Promise<void> {
    const next = await this.#newestCommitted()
    try {
      if (this.#isRead) await next.prepare()
    } catch (error) {
      next.release()
      throw error
    }
    const before = this.#cut
    this.#cut = next
    before.release()
  }

  /** Somebody who opens the file elsewhere may set back where transactions begin. SnapshotError `Backend`. */
  async #newestCommitted(): Promise<FoldCut> {
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      const cut = this.#newest()
      if (cut.state.commit >= this.#writer.commit) return cut
      cut.release()
      await this.mend()
    }
    throw new SnapshotError('Backend', `${this.file} does not show its newest commit`, { path: this.file })
  }

  #newest(): FoldCut {
    const ended = (): void => {
      this.#cuts.delete(cut)
      if (this.#cuts.size === 0) this.#allEnded?.()
    }
    const cut: FoldCut = FoldCut.newest(this.#environment, this.file, ended, { show: false })
    this.#cuts.add(cut)
    return cut
  }

  async #guarded(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      this.#failure = SnapshotError.is(error)
        ? error
        : new SnapshotError('Io', `writing ${this.file} failed`, { path: this.file, cause: error })
      throw this.#failure
    }
  }
}
