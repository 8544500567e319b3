import type { KvUpdate } from './entry.ts'

/** When collected updates are handed on: whichever limit comes first. */
export interface BatchConfig {
  /** Counted from the first update of a batch. @default 10 */
  readonly windowMs?: number
  /** @default 1024 */
  readonly maxCount?: number
  /** Key and value bytes; only an update that is larger by itself makes a larger batch. @default 4 MiB */
  readonly maxBytes?: number
}

export interface BatchLimits extends Required<BatchConfig> {}

/** Fills in the defaults; `RangeError` for a limit that is not a number above 0 (the window may be 0). */
export function batchLimits(config: BatchConfig = {}): BatchLimits {
  const { windowMs = 10, maxCount = 1024, maxBytes = 4 * 1024 * 1024 } = config
  if (!(windowMs >= 0)) throw new RangeError(`windowMs must be 0 or more, not ${windowMs}`)
  if (!(maxCount >= 1)) throw new RangeError(`maxCount must be 1 or more, not ${maxCount}`)
  if (!(maxBytes >= 1)) throw new RangeError(`maxBytes must be 1 or more, not ${maxBytes}`)
  return { windowMs, maxCount, maxBytes }
}

/** Collects updates until a limit is reached. Times are those of one monotonic clock, given by the caller. */
export class Batcher {
  readonly #limits: BatchLimits
  #updates: KvUpdate[] = []
  #bytes = 0
  #dueAtMs = Infinity

  constructor(limits: BatchLimits) {
    this.#limits = limits
  }

  get count(): number {
    return this.#updates.length
  }

  get full(): boolean {
    return this.#updates.length >= this.#limits.maxCount || this.#bytes >= this.#limits.maxBytes
  }

  /** When the window of the oldest update ends; Infinity while there is none. */
  get dueAtMs(): number {
    return this.#dueAtMs
  }

  /**
   * Takes one update; false when it would go beyond a limit, so that what was collected has to be
   * handed on first. The first update opens the window, which later ones never extend.
   */
  offer(update: KvUpdate, nowMs: number): boolean {
    const bytes = updateBytes(update)
    if (this.#updates.length === 0) this.#dueAtMs = nowMs + this.#limits.windowMs
    else if (this.full || this.#bytes + bytes > this.#limits.maxBytes) return false
    this.#updates.push(update)
    this.#bytes += bytes
    return true
  }

  /** Hands over what was collected and starts anew. */
  take(): { readonly updates: readonly KvUpdate[]; readonly bytes: number } {
    const taken = { updates: this.#updates, bytes: this.#bytes }
    this.#updates = []
    this.#bytes = 0
    this.#dueAtMs = Infinity
    return taken
  }
}

/** Key and value bytes of an update. */
function updateBytes(update: KvUpdate): number {
  const key = Buffer.byteLength(update.key)
  return update.operation === 'put' ? key + update.value.length : key
}
