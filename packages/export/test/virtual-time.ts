import type { RoundClock } from '@slip/export'
import { vi } from 'vitest'

const EPOCH_MS = 1_800_000_000_000

interface Sleeper {
  readonly atMs: number
  readonly wake: () => void
}

/** One time for many nodes, that goes on when all of them wait for it. */
export class VirtualTime {
  nowMs = 0
  readonly #asleep = new Set<Sleeper>()
  readonly #random: (below: number) => number

  constructor(random: (below: number) => number) {
    this.#random = random
  }

  /** The clock of one node: its own time of day, and its own beginning of the monotonic one. */
  clock(skewMs: number): RoundClock {
    const beganMs = this.#random(1_000_000)
    return {
      monotonicMs: () => beganMs + this.nowMs,
      unixMs: () => EPOCH_MS + this.nowMs + skewMs,
      random: () => this.#random(1_000_000) / 1_000_000,
      sleep: async (ms, signal) =>
        new Promise((resolve) => {
          const wake = (): void => {
            this.#asleep.delete(sleeper)
            signal.removeEventListener('abort', wake)
            resolve()
          }
          const sleeper: Sleeper = { atMs: this.nowMs + ms, wake }
          this.#asleep.add(sleeper)
          signal.addEventListener('abort', wake)
          if (signal.aborted) wake()
        }),
    }
  }

  /** Wakes the one that waits for the least, and goes on when all of them wait again. */
  async step(nodes: number): Promise<void> {
    await this.wake(nodes)
    await this.#untilAsleep(nodes)
  }

  /** Wakes the one that waits for the least, as soon as all of them wait. */
  async wake(nodes: number): Promise<void> {
    await this.#untilAsleep(nodes)
    const [first] = [...this.#asleep].sort((a, b) => a.atMs - b.atMs)
    this.nowMs = Math.max(this.nowMs, first!.atMs)
    first!.wake()
  }

  async #untilAsleep(nodes: number): Promise<void> {
    await vi.waitFor(
      () => {
        if (this.#asleep.size !== nodes) throw new Error(`${this.#asleep.size} of ${nodes} nodes wait`)
      },
      { timeout: 60_000, interval: 1 },
    )
  }
}
