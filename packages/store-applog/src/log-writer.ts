import { dirname } from 'node:path'
import type { KvUpdate, WatchCursor } from '@slip/kv-core'
import { CommitEncoder, type EncodedCommit } from './commit-encoder.ts'
import type { LogStretch } from './compaction.ts'
import type { FileSystem } from '@slip/kv-core/store-parts'
import type { LogDraft } from './log-draft.ts'
import { LogFile, asIo, type Fence } from './log-file.ts'
import type { Generation } from './log-header.ts'
import { fileHeader } from './open-log.ts'

/** Commits to the log a store writes, whichever file and generation that is at the moment. */
export class LogWriter {
  readonly #files: FileSystem
  readonly #fence: Fence
  #file: LogFile
  #generation: Generation
  #salt: Uint8Array
  #encoder: CommitEncoder

  constructor(
    files: FileSystem,
    fence: Fence,
    opened: { readonly file: LogFile; readonly generation: Generation; readonly salt: Uint8Array },
  ) {
    this.#files = files
    this.#fence = fence
    this.#file = opened.file
    this.#generation = opened.generation
    this.#salt = opened.salt
    this.#encoder = new CommitEncoder(opened.generation, opened.salt)
  }

  get generation(): Generation {
    return this.#generation
  }

  get end(): number {
    return this.#file.end
  }

  /** Why nothing more is taken. */
  get failure(): Error | undefined {
    return this.#file.failure
  }

  /**
   * Lays out a batch and writes it as one commit. SnapshotError `LimitExceeded` before anything is
   * written; `Io` and `Busy` end the writer.
   */
  async commit(
    batch: readonly KvUpdate[],
    cursor: WatchCursor,
    lineage: Uint8Array | undefined,
  ): Promise<EncodedCommit> {
    if (this.failure !== undefined) throw this.failure
    const header = this.#file.end === 0 ? fileHeader(this.#generation, this.#salt) : undefined
    this.#file.lookAhead()
    const position = this.#file.end + (header?.length ?? 0)
    const encoded = await this.#encoder.batch(batch, cursor, lineage, position)
    if (header !== undefined) await this.#file.begin(header)
    await this.#file.append(encoded.bytes)
    return encoded
  }

  async sync(): Promise<void> {
    await this.#file.sync()
  }

  /** The commits from position `from` to the end, for copying. */
  stretch(from: number): LogStretch {
    const { handle, end } = this.#file
    return { handle, generation: this.#generation, salt: this.#salt, from, to: end }
  }

  /**
   * Puts a sealed and synced draft in the place of the file. When the rename fails nothing changed.
   * When the directory cannot be synced after it the draft is in use, but takes no more.
   */
  async replace(draft: LogDraft): Promise<void> {
    if (this.failure !== undefined) throw this.failure
    const old = this.#file
    const file = await LogFile.over(this.#files, old.path, draft.handle, draft.end, this.#fence, true)
    await draft.rename(old.path)
    this.#file = file
    this.#generation = draft.generation
    this.#salt = draft.salt
    this.#encoder = new CommitEncoder(draft.generation, draft.salt)
    await old.close().catch(() => undefined)
    try {
      await this.#files.syncDirectory(dirname(old.path))
    } catch (error) {
      throw await file.failSync(asIo(error, 'sync of the directory', old.path))
    }
    await file.forgetDoubt()
  }

  async close(): Promise<void> {
    await this.#file.close()
  }
}
