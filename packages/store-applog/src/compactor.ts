import { compactionDue, type CompactionPolicy } from './compaction.ts'
import type { FileSystem, Turns } from '@slip/kv-core/store-parts'
import { HEADER_3_BYTES, type Generation } from './log-header.ts'
import type { LogWriter } from './log-writer.ts'
import { rewriteLog, type FoldNow } from './rewrite.ts'

/** The store whose log is compacted. */
export interface CompactedStore {
  readonly files: FileSystem
  readonly path: string
  /** What the log becomes. */
  readonly target: Generation
  readonly policy: CompactionPolicy
  readonly writer: LogWriter
  readonly turns: Turns
  /** Ends a compaction in progress. */
  readonly ended: AbortSignal
  readonly now: FoldNow
  /** Called in the turn in which the new file comes into use; all of it is durable. */
  replaced(): void
}

/** Sizes of a log, in bytes. */
export interface CompactionResult {
  readonly before: number
  readonly after: number
}

/** Runs the compactions of a store one at a time, those asked for and those that are due. */
export class Compactor {
  readonly #store: CompactedStore
  #running: Promise<CompactionResult> | undefined
  /** None by itself below this size. */
  #fromBytes = 0

  constructor(store: CompactedStore) {
    this.#store = store
  }

  /** Resolves when none is running. Never rejects. */
  async idle(): Promise<void> {
    await this.#running?.catch(() => undefined)
  }

  /** Compacts, after one that is running. A failure leaves the old log in use. */
  async run(signal?: AbortSignal): Promise<CompactionResult> {
    await this.idle()
    return this.#start(signal)
  }

  /** Starts a compaction when the policy says so and none is running. */
  startIfDue(): void {
    const { writer, policy, now } = this.#store
    if (this.#running !== undefined || writer.end < this.#fromBytes) return
    if (compactionDue(policy, writer.end, HEADER_3_BYTES + now().fold.liveBytes))
      this.#start(undefined).catch(() => undefined)
  }

  async #start(signal: AbortSignal | undefined): Promise<CompactionResult> {
    const { files, path, target, writer, ended } = this.#store
    const before = writer.end
    const stop = signal === undefined ? ended : AbortSignal.any([signal, ended])
    this.#running = rewriteLog(files, path, target, this.#store, stop)
      .then(() => {
        this.#fromBytes = 0
        return { before, after: writer.end }
      })
      .catch((error: unknown) => {
        // Not again at once: a full disk stays full for a while.
        this.#fromBytes = writer.end + before / 4
        throw error
      })
      .finally(() => {
        this.#running = undefined
      })
    return this.#running
  }
}
