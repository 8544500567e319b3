import type { KvUpdate } from '@slip/kv-core'

/** When a fold is filled in bulk. */
export interface BulkOptions {
  /** Smaller folds are fast whatever is put where. @default 100000 */
  readonly fromEntries?: number
  /** Smaller batches are not part of a flood. @default 512 */
  readonly batchUpdates?: number
  /** How many bytes of batches are sorted at once, and held in memory twice until then. @default 16 MiB; 4 MiB of a staged fold */
  readonly runBytes?: number
  /** How long no batch of a flood came before what came is merged. @default 10000 */
  readonly calmMs?: number
}

export const BULK_DEFAULTS: Required<BulkOptions> = {
  fromEntries: 100_000,
  batchUpdates: 512,
  runBytes: 16 * 1024 * 1024,
  calmMs: 10_000,
}

/** Nobody reads a staged fold: more runs make nothing slower but their merge. */
export const STAGED_RUN_BYTES: number = 4 * 1024 * 1024

const LOOK_FOR_CALM_MS = 1_000

/** How often to look whether a flood is over. */
export function lookForCalmMs({ calmMs = BULK_DEFAULTS.calmMs }: BulkOptions = {}): number {
  return Math.min(calmMs, LOOK_FOR_CALM_MS)
}

/** Merging reads and writes the whole fold: it has to be worth that. */
const SHARE_OF_FOLD = 16

/** Watches what arrives, and says whether a fold is being filled with new keys in random order. */
export class Flood {
  readonly #options: Required<BulkOptions>
  /** New keys since it began. */
  #brought = 0
  #lastMs = performance.now()
  /** How long before the batch that comes the last one had come. */
  #pausedMs = 0
  #coming = false
  #lastKey = ''

  constructor(options: BulkOptions = {}) {
    this.#options = { ...BULK_DEFAULTS, ...options }
  }

  /** Whether what comes next to a fold of `entries` should be collected. */
  isWorthIt(entries: number): boolean {
    return entries >= this.#options.fromEntries && this.#brought * SHARE_OF_FOLD >= entries
  }

  get isOver(): boolean {
    return !this.#coming && performance.now() - this.#lastMs >= this.#options.calmMs
  }

  /** A batch is about to be committed; however long that takes, it is no calm. */
  comes(): void {
    this.#pausedMs = performance.now() - this.#lastMs
    this.#coming = true
  }

  /** A batch was committed that brought this many keys more than it took. */
  came(batch: readonly KvUpdate[], newKeys: number): void {
    this.#coming = false
    const ascends = this.#ascends(batch)
    if (batch.length < this.#options.batchUpdates || 2 * newKeys < batch.length) return
    // Keys in order go to the end of the tree, which is fast.
    if (ascends || this.#pausedMs >= this.#options.calmMs) this.#brought = 0
    else this.#brought += newKeys
    this.#lastMs = performance.now()
  }

  #ascends(batch: readonly KvUpdate[]): boolean {
    let inOrder = 0
    for (const { key } of batch) {
      if (key > this.#lastKey) inOrder++
      this.#lastKey = key
    }
    return inOrder * SHARE_OF_FOLD >= batch.length * (SHARE_OF_FOLD - 1)
  }
}
