import { setImmediate as nextTurn, setTimeout as wait } from 'node:timers/promises'
import { Slices } from '@slip/kv-core'
import type { MemoryFold } from './memory/memory-fold.ts'

const BUDGET_MS = 2
/** While applies come, ordering has a tenth of the time: it is for the reads that follow. */
const BESIDE_APPLIES_MS = 20

/**
 * Works off what a fold puts off, a little in each turn of the event loop: garbage at once, the order
 * of the keys with what time the applies leave.
 */
export class Maintenance {
  #running = false
  #stopped = false
  #changedAt = 0

  /** To be called after the fold changed. */
  poke(fold: MemoryFold): void {
    this.#changedAt = performance.now()
    if (this.#running || this.#stopped || !(fold.garbageDue || fold.orderDue)) return
    this.#running = true
    void this.#run(fold)
  }

  stop(): void {
    this.#stopped = true
  }

  async #run(fold: MemoryFold): Promise<void> {
    const slices = new Slices('applog.maintain')
    try {
      do {
        const busy = performance.now() - this.#changedAt < BESIDE_APPLIES_MS
        await (busy && !fold.garbageDue ? wait(BESIDE_APPLIES_MS, undefined, { ref: false }) : nextTurn())
        if (this.#stopped) return
        slices.begin()
        fold.maintain(BUDGET_MS)
        slices.end()
      } while (fold.garbageDue || fold.orderDue)
    } finally {
      this.#running = false
    }
  }
}
