import { join } from 'node:path'
import {
  SnapshotError,
  type CopyOptions,
  type FoldReader,
  type ListedKey,
  type PayloadFormat,
  type Recovery,
  type StoreStats,
  type WaitOptions,
  type WatchCursor,
} from '@slip/kv-core'
import { appendLogPayload, COPY_NAME } from './append-log-payload.ts'
import { loadNativeCrc32c } from './crc32c.ts'
import {
  canonicalPath,
  currentHolder,
  nodeFileSystem,
  systemCode,
  type FileSystem,
} from '@slip/kv-core/store-parts'
import { damageError, loadLog, type LoadedLog } from './load-log.ts'
import { asIo } from './log-file.ts'
import type { Generation } from './log-header.ts'
import { ForwardedReads } from './forwarded-reads.ts'
import { MemoryFold, type FoldReads } from './memory/memory-fold.ts'
import { writeAppendLog } from './write-append-log.ts'

const ATTEMPTS = 5

/** The fold of a log at one committed cursor, read without the writer's lock. */
export class AppendLogReader extends ForwardedReads implements FoldReader, AsyncDisposable {
  readonly cursor: WatchCursor
  readonly lineage: Uint8Array | undefined
  readonly generation: Generation
  /** The unfinished last write that was left out. Beside a live writer that is one in progress. */
  readonly recovery: Recovery | undefined
  readonly stats: StoreStats
  /** Who has the log open for writing, when anybody does. */
  readonly holder: { readonly pid: number; readonly host: string } | undefined
  readonly payload: PayloadFormat = appendLogPayload
  readonly #fold: MemoryFold
  #closed = false

  private constructor(
    loaded: LoadedLog<MemoryFold>,
    holder: { readonly pid: number; readonly host: string } | undefined,
  ) {
    super()
    this.#fold = loaded.fold
    this.cursor = loaded.cursor
    this.lineage = loaded.lineage
    this.generation = loaded.generation ?? 3
    this.recovery = tornTail(loaded)
    this.stats = {
      entries: loaded.fold.entriesCount,
      deletedKeys: this.generation === 3 ? loaded.fold.deletedCount : 0,
      bytes: loaded.size,
    }
    this.holder = holder
  }

  /**
   * Reads the log at `path` as it is at this moment; it need not stay there. SnapshotError `NotFound`,
   * `InvalidFormat`, `Corrupted`, `Io`.
   */
  static async open(
    options: { readonly path: string } & WaitOptions,
    files: FileSystem = nodeFileSystem,
  ): Promise<AppendLogReader> {
    const loaded = await readLog(files, options.path, options.signal)
    if (loaded.verdict.verdict === 'corrupt') throw damageError(loaded.verdict, options.path)
    await loaded.fold.buildOrder(options.signal)
    const path = await canonicalPath(files, options.path, false).catch(() => options.path)
    const found = await currentHolder(files, path)
    return new AppendLogReader(loaded, found === undefined ? undefined : { pid: found.pid, host: found.host })
  }

  protected readable(): FoldReads {
    return this.#reads()
  }

  /** Names whose last update was a removal, in key-byte order; none in generation 2. */
  deletedKeys(prefix?: string): IterableIterator<ListedKey> {
    return this.#reads().deletedKeys(prefix)
  }

  /** Writes a compacted copy of its own generation, durable when it resolves, to a directory that is made or empty. */
  async copyTo(
    directory: string,
    options: CopyOptions = {},
  ): Promise<{ readonly cursor: WatchCursor; readonly files: readonly string[] }> {
    const name = COPY_NAME[this.generation]
    options.onPinned?.()
    await writeAppendLog(join(directory, name), this, { format: this.generation, signal: options.signal })
    return { cursor: this.cursor, files: [name] }
  }

  async close(): Promise<void> {
    this.#closed = true
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #reads(): MemoryFold {
    if (this.#closed) throw new SnapshotError('Closed', 'the reader is closed')
    return this.#fold
  }
}

/**
 * Loads a log without its lock. Damage is believed only when it is seen again: another opener may just
 * be cutting a torn tail.
 */
export async function readLog(
  files: FileSystem,
  path: string,
  signal?: AbortSignal,
): Promise<LoadedLog<MemoryFold>> {
  await loadNativeCrc32c()
  for (let attempt = 1; ; attempt++) {
    const handle = await files.open(path, 'read').catch((error: unknown) => {
      if (systemCode(error) === 'ENOENT')
        throw new SnapshotError('NotFound', `there is no log at ${path}`, { path, cause: error })
      throw asIo(error, 'opening', path)
    })
    try {
      // What is before this size was written before: at most the last commit is unfinished in it.
      const { size } = await handle.stat()
      const make = (generation: Generation | undefined): MemoryFold =>
        new MemoryFold({ keepDeleted: generation !== 2 })
      const loaded = await loadLog(handle, path, make, { size, signal })
      if (loaded.verdict.verdict !== 'corrupt' || attempt >= ATTEMPTS) return loaded
      if ((await handle.stat()).size === size && attempt > 1) return loaded
    } catch (error) {
      const changing = SnapshotError.is(error) && error.code === 'Io' && error.at !== undefined
      if (!changing || attempt >= ATTEMPTS) throw error
    } finally {
      await handle.close().catch(() => undefined)
    }
  }
}

function tornTail(loaded: LoadedLog<unknown>): Recovery | undefined {
  const { verdict, size } = loaded
  return verdict.verdict === 'torn'
    ? { verdict: 'torn', at: verdict.at, bytes: size - verdict.at }
    : undefined
}
