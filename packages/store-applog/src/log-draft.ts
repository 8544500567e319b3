import { dirname } from 'node:path'
import type { KvUpdate, WatchCursor } from '@slip/kv-core'
import { CommitEncoder, type EncodedCommit } from './commit-encoder.ts'
import { systemCode, type FileSystem, type LogHandle } from '@slip/kv-core/store-parts'
import { asIo, writeFully } from './log-file.ts'
import { encodeHeader, GENERATION_2_HEADER, HEADER_3_BYTES, newSalt, type Generation } from './log-header.ts'

const STRETCH_BYTES = 256 * 1024

/**
 * A log being written under a temporary name: the base of a compaction, a staged fold, a copy. It
 * becomes a log by `publish` or not at all.
 */
export class LogDraft {
  readonly path: string
  readonly generation: Generation
  readonly salt: Uint8Array
  readonly handle: LogHandle
  readonly #files: FileSystem
  readonly #encoder: CommitEncoder
  readonly #stretch: Uint8Array = new Uint8Array(STRETCH_BYTES)
  #held = 0
  #end: number
  #published = false

  private constructor(files: FileSystem, path: string, generation: Generation, handle: LogHandle) {
    this.#files = files
    this.path = path
    this.generation = generation
    this.handle = handle
    this.salt = newSalt()
    this.#encoder = new CommitEncoder(generation, this.salt)
    this.#end = generation === 3 ? HEADER_3_BYTES : GENERATION_2_HEADER.length
  }

  /** A new file at `path`; one that is there already goes, unless `keepExisting`. */
  static async create(
    files: FileSystem,
    path: string,
    generation: Generation,
    options: { readonly keepExisting?: boolean } = {},
  ): Promise<LogDraft> {
    try {
      if (options.keepExisting !== true) await removeIfThere(files, path)
      return new LogDraft(files, path, generation, await files.open(path, 'create'))
    } catch (error) {
      throw asIo(error, 'creation', path)
    }
  }

  get end(): number {
    return this.#end
  }

  /** Whether it has the name of a log by now. */
  get isPublished(): boolean {
    return this.#published
  }

  /** Holds one valid record of the base, in the native layout, until `writeHeld`. It must fit. */
  hold(source: Uint8Array, from: number, to: number): void {
    this.#stretch.set(source.subarray(from, to), this.#held)
    this.#held += to - from
  }

  /** Whether a record of `bytes` fits behind those held. */
  fits(bytes: number): boolean {
    return this.#held + bytes <= STRETCH_BYTES
  }

  /** Writes the records held; after it there is room for another stretch. */
  async writeHeld(): Promise<void> {
    if (this.#held === 0) return
    const held = this.#held
    this.#held = 0
    await this.#write(this.#encoder.records(this.#stretch, 0, held, CONTINUED, this.#end))
  }

  /** Writes one record that is larger than a stretch. */
  async writeLarge(source: Uint8Array, from: number, to: number): Promise<void> {
    await this.#write(this.#encoder.records(source, from, to, CONTINUED, this.#end))
  }

  /** Ends the base: what was added is committed at this cursor. */
  async finishBase(cursor: Uint8Array, lineage: Uint8Array | undefined): Promise<void> {
    const held = this.#held
    this.#held = 0
    // A canonical generation-2 file of a bare none cursor has no cursor record.
    if (this.generation === 2 && cursor.length === 0)
      await this.#write(this.#encoder.records(this.#stretch, 0, held, CONTINUED, this.#end))
    else await this.commitRecords(this.#stretch, 0, held, cursor, lineage)
  }

  /** One commit of records in the native layout. */
  async commitRecords(
    source: Uint8Array,
    from: number,
    to: number,
    cursor: Uint8Array,
    lineage: Uint8Array | undefined,
  ): Promise<void> {
    await this.#write(
      this.#encoder.records(source, from, to, { cursor, lineage, continued: false }, this.#end),
    )
  }

  /** One commit of a batch; the encoded form is valid until the next call. */
  async commitBatch(
    batch: readonly KvUpdate[],
    cursor: WatchCursor,
    lineage: Uint8Array | undefined,
  ): Promise<EncodedCommit> {
    const encoded = await this.#encoder.batch(batch, cursor, lineage, this.#end)
    await this.#write(encoded)
    return encoded
  }

  /** Writes the header and makes everything so far durable: damage before here is never a torn tail. */
  async seal(): Promise<void> {
    try {
      const header =
        this.generation === 3 ? encodeHeader({ salt: this.salt, baseEnd: this.#end }) : GENERATION_2_HEADER
      await writeFully(this.handle, header, 0)
      await this.handle.datasync()
    } catch (error) {
      throw asIo(error, 'write', this.path)
    }
  }

  /** Makes what was committed since `seal` durable. */
  async sync(): Promise<void> {
    try {
      await this.handle.datasync()
    } catch (error) {
      throw asIo(error, 'sync', this.path)
    }
  }

  /** Gives the file the name `path` in place of what has it. The handle stays open. */
  async rename(path: string): Promise<void> {
    try {
      await this.#files.rename(this.path, path)
      this.#published = true
    } catch (error) {
      throw asIo(error, 'rename', this.path)
    }
  }

  /** Gives the file the name `path`, which must be free, and closes it. `false` when it is not free. */
  async publishNew(path: string): Promise<boolean> {
    try {
      await this.handle.close()
      await this.#files.link(this.path, path)
      await this.#files.unlink(this.path)
      await this.#files.syncDirectory(dirname(path))
      return true
    } catch (error) {
      await removeIfThere(this.#files, this.path).catch(() => undefined)
      if (systemCode(error) === 'EEXIST') return false
      throw asIo(error, 'publication', path)
    }
  }

  async close(): Promise<void> {
    try {
      await this.handle.close()
    } catch (error) {
      throw asIo(error, 'close', this.path)
    }
  }

  /** Closes and removes the file, unless it was renamed into use. Never rejects. */
  async discard(): Promise<void> {
    if (this.#published) return
    await this.handle.close().catch(() => undefined)
    await removeIfThere(this.#files, this.path).catch(() => undefined)
  }

  async #write(encoded: EncodedCommit): Promise<void> {
    if (encoded.bytes.length === 0) return
    try {
      await writeFully(this.handle, encoded.bytes, this.#end)
    } catch (error) {
      throw asIo(error, 'write', this.path)
    }
    this.#end += encoded.bytes.length
  }
}

const CONTINUED = { cursor: new Uint8Array(0), lineage: undefined, continued: true }

export async function removeIfThere(files: FileSystem, path: string): Promise<void> {
  try {
    await files.unlink(path)
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error
  }
}
