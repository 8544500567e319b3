import { channel } from 'node:diagnostics_channel'
import { setImmediate as nextTurn } from 'node:timers/promises'

/** One finished slice of synchronous work, as published on the diagnostics channel `slip:slice`. */
export interface SliceMessage {
  /** Which work: `applog.load`, `follow.apply`. */
  readonly work: string
  readonly ms: number
}

const started = channel('slip:slice:start')
const published = channel('slip:slice')

/**
 * Cuts long synchronous work into slices, so that it never holds the event loop for more than a few
 * milliseconds. Call `due()` often and `await pause()` when it says so. The length of each slice goes
 * to the diagnostics channel `slip:slice`, its beginning to `slip:slice:start`, where benchmarks and
 * tests measure it; without a subscriber that costs nothing.
 */
export class Slices {
  readonly #work: string
  readonly #budgetMs: number
  #startedAt = 0

  constructor(work: string, budgetMs = 3) {
    this.#work = work
    this.#budgetMs = budgetMs
    this.begin()
  }

  /** Starts a slice anew, after an await that gave the event loop its turn. */
  begin(): void {
    if (started.hasSubscribers) started.publish({ work: this.#work })
    this.#startedAt = performance.now()
  }

  due(): boolean {
    return performance.now() - this.#startedAt >= this.#budgetMs
  }

  /** Ends a slice without waiting. */
  end(): void {
    if (published.hasSubscribers)
      published.publish({ work: this.#work, ms: performance.now() - this.#startedAt } satisfies SliceMessage)
  }

  /** Gives the event loop one turn, then begins the next slice. */
  async pause(): Promise<void> {
    this.end()
    await nextTurn()
    this.begin()
  }
}
