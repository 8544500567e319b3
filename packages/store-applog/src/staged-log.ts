import { SnapshotError, WatchCursor, type ApplyOptions, type KvUpdate, type StagedFold } from '@slip/kv-core'
import type { FileSystem } from '@slip/kv-core/store-parts'
import { LogDraft } from './log-draft.ts'
import type { Generation } from './log-header.ts'
import { DRAFT_SUFFIX } from './log-path.ts'
import { MemoryFold } from './memory/memory-fold.ts'

/** A second log and fold beside those in use; a crash before `commit` leaves only a file that the next opener removes. */
export class StagedLog implements StagedFold {
  readonly draft: LogDraft
  readonly fold: MemoryFold
  readonly #adopt: (staged: StagedLog) => Promise<void>
  #cursor: WatchCursor = WatchCursor.none
  #lineage: Uint8Array | undefined
  #ended: 'committed' | 'discarded' | 'failed' | undefined

  private constructor(draft: LogDraft, adopt: (staged: StagedLog) => Promise<void>) {
    this.draft = draft
    this.fold = new MemoryFold({ keepDeleted: draft.generation === 3 })
    this.#adopt = adopt
  }

  /** `adopt` puts the finished log and fold in the place of the old ones. */
  static async create(
    files: FileSystem,
    path: string,
    generation: Generation,
    adopt: (staged: StagedLog) => Promise<void>,
  ): Promise<StagedLog> {
    return new StagedLog(await LogDraft.create(files, `${path}${DRAFT_SUFFIX.stage}`, generation), adopt)
  }

  get cursor(): WatchCursor {
    return this.#cursor
  }

  get lineage(): Uint8Array | undefined {
    return this.#lineage
  }

  async apply(batch: readonly KvUpdate[], cursor: WatchCursor, options: ApplyOptions = {}): Promise<void> {
    this.#mustBeOpen()
    const { lineage } = options
    try {
      const commit = await this.draft.commitBatch(batch, cursor, lineage)
      this.fold.putRecords(commit.native, commit.nativeFrom, commit.nativeTo)
    } catch (error) {
      if (!SnapshotError.is(error) || error.code !== 'LimitExceeded') this.#ended = 'failed'
      throw error
    }
    this.#cursor = cursor
    if (lineage !== undefined) this.#lineage = lineage.slice()
  }

  has(key: string): boolean {
    this.#mustBeOpen()
    return this.fold.has(key)
  }

  keys(): IterableIterator<string> {
    // What failed is in memory all the same.
    if (this.#ended !== 'failed') this.#mustBeOpen()
    return this.draft.isPublished ? [].values() : this.fold.keys()
  }

  async commit(): Promise<void> {
    this.#mustBeOpen()
    try {
      await this.draft.seal()
      await this.#adopt(this)
      this.#ended = 'committed'
    } catch (error) {
      this.#ended = 'failed'
      await this.draft.discard()
      throw error
    }
  }

  async discard(): Promise<void> {
    if (this.#ended === 'committed' || this.#ended === 'discarded') return
    this.#ended = 'discarded'
    await this.draft.discard()
  }

  #mustBeOpen(): void {
    if (this.#ended !== undefined)
      throw new SnapshotError('Closed', `the staged fold was ${this.#ended} already`)
  }
}
