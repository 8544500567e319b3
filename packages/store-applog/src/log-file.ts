import { SnapshotError } from '@slip/kv-core'
import { systemCode, type FileSystem, type LogHandle } from '@slip/kv-core/store-parts'
import { SyncDoubt } from './sync-doubt.ts'

/** Something that can tell that the right to write has been lost. */
export interface Fence {
  readonly lost: boolean
}

/**
 * The write end of a log: a file and the offset its next frame goes to.
 *
 * Writes are positional. One that fails leaves the offset where it was, and the handle takes no more:
 * `failure` says why. What it left behind is cut when the log is opened again.
 */
export class LogFile {
  readonly path: string
  readonly handle: LogHandle
  readonly #files: FileSystem
  readonly #fence: Fence
  readonly #ino: number
  readonly #doubt: SyncDoubt
  #end: number
  #failure: SnapshotError | undefined
  #looked: Promise<{ ino: number; size: number }> | undefined

  private constructor(
    files: FileSystem,
    path: string,
    handle: LogHandle,
    facts: { ino: number; dev: number; end: number; fresh: boolean },
    fence: Fence,
  ) {
    this.#files = files
    this.path = path
    this.handle = handle
    this.#ino = facts.ino
    this.#doubt = new SyncDoubt(files, path, `${facts.dev}:${facts.ino}`, facts.fresh)
    this.#end = facts.end
    this.#fence = fence
  }

  /** Takes over `handle`, whose file has the name `path` and ends at `end`; `fresh` when this process made it. SnapshotError `Io`. */
  static async over(
    files: FileSystem,
    path: string,
    handle: LogHandle,
    end: number,
    fence: Fence,
    fresh: boolean,
  ): Promise<LogFile> {
    const { ino, dev } = await handle.stat().catch((error: unknown) => {
      throw asIo(error, 'stat', path)
    })
    return new LogFile(files, path, handle, { ino, dev, end, fresh }, fence)
  }

  /** Where the next frame goes. */
  get end(): number {
    return this.#end
  }

  get failure(): SnapshotError | undefined {
    return this.#failure
  }

  /** Whether a sync of this file or of its name failed before: no later one proves anything. */
  async inDoubt(): Promise<boolean> {
    return this.#doubt.exists()
  }

  /** It was written anew, and is on the disk with its name. */
  async forgetDoubt(): Promise<void> {
    await this.#doubt.forget()
  }

  /** Starts the look at the file that the next `append` needs, so that it goes on beside other work. */
  lookAhead(): void {
    this.#looked = this.#files.stat(this.path)
    this.#looked.catch(() => undefined)
  }

  /** Writes `bytes` at the end. SnapshotError `Io` or `Busy`; after either nothing more is taken. */
  async append(bytes: Uint8Array): Promise<void> {
    this.#mustWork()
    try {
      await this.#mustBeUnchanged()
      await writeFully(this.handle, bytes, this.#end)
    } catch (error) {
      this.#failure = asIo(error, 'write', this.path)
      // The fragment is cut at once where that is possible; recovery cuts it in any case.
      await this.handle.truncate(this.#end).catch(() => undefined)
      throw this.#failure
    }
    this.#end += bytes.length
  }

  /**
   * Writes the header of an empty log and syncs it, because nothing after it can be read without it.
   * SnapshotError `Io` or `Busy`; after either nothing more is taken.
   */
  async begin(header: Uint8Array): Promise<void> {
    await this.append(header)
    try {
      await this.sync()
    } catch (error) {
      this.#end = 0
      await this.handle.truncate(0).catch(() => undefined)
      throw error
    }
  }

  /** Makes everything appended so far durable. SnapshotError `Io`; after it nothing more is taken. */
  async sync(): Promise<void> {
    this.#mustWork()
    try {
      await this.handle.datasync()
    } catch (error) {
      // The kernel may have dropped the pages and reports the failure once: asking again proves nothing.
      throw await this.failSync(asIo(error, 'sync', this.path))
    }
  }

  /** Takes nothing more, because it or its name may not be on the disk: `failure`, which it gives back. */
  async failSync(failure: SnapshotError): Promise<SnapshotError> {
    this.#failure = failure
    await this.#doubt.remember()
    return failure
  }

  async close(): Promise<void> {
    await this.handle.close()
  }

  #mustWork(): void {
    if (this.#failure !== undefined) throw this.#failure
  }

  async #mustBeUnchanged(): Promise<void> {
    const facts = await (this.#looked ?? this.#files.stat(this.path))
    this.#looked = undefined
    if (this.#fence.lost)
      throw new SnapshotError('Busy', `${this.path} was taken over by another writer`, { path: this.path })
    if (facts.ino !== this.#ino || facts.size !== this.#end)
      throw new SnapshotError('Io', `${this.path} was changed by somebody else`, { path: this.path })
  }
}

/** Writes all of `bytes` at `position`, in as many writes as the system needs. */
export async function writeFully(handle: LogHandle, bytes: Uint8Array, position: number): Promise<void> {
  let written = 0
  while (written < bytes.length) {
    const { bytesWritten } = await handle.write(bytes, written, bytes.length - written, position + written)
    if (bytesWritten === 0) throw new SnapshotError('Io', 'a write took no bytes')
    written += bytesWritten
  }
}

/** A system error as SnapshotError `Io` that names the file; a SnapshotError stays itself. */
export function asIo(error: unknown, what: string, path: string): SnapshotError {
  if (SnapshotError.is(error)) return error
  const code = systemCode(error)
  return new SnapshotError('Io', `${what} of ${path} failed${code === undefined ? '' : ` (${code})`}`, {
    cause: error,
    path,
  })
}
