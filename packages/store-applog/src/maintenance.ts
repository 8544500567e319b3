import { setImmediate as nextTurn } from 'node:timers/promises'
import { Slices } from '@slip/kv-core'
import type { MemoryFold } from './memory/memory-fold.ts'

const BUDGET_MS = 2

/** Works off what a fold puts off, a little in each turn of the event loop, whenever there is something. */
export class Maintenance {
  #running = false
  #stopped = false

  /** To be called after the fold changed. */
  poke(fold: MemoryFold): void {
    if (this.#running || this.#stopped || !fold.maintenanceDue) return
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
        await nextTurn()
        slices.begin()
        if (this.#stopped || !fold.maintain(BUDGET_MS)) break
        slices.end()
      } while (fold.maintenanceDue)
      slices.end()
    } finally {
      this.#running = false
    }
  }
}
