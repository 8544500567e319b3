import type { SimProcess } from '../world/sim-process.ts'
import type { Verdict } from './verdict.ts'

/** Promise 11: of all processes that live, one at most has the fold open for writing. */
export class WriterWatch {
  readonly #verdict: Verdict
  readonly #open = new Set<SimProcess>()

  constructor(verdict: Verdict) {
    this.#verdict = verdict
  }

  opened(process: SimProcess): void {
    for (const other of this.#open)
      if (other !== process && other.state !== 'dead')
        this.#verdict.violated(11, `${process.name} opened the fold that ${other.name} has open`)
    this.#open.add(process)
  }

  /** From here on the lock may be let go of. */
  closing(process: SimProcess): void {
    this.#open.delete(process)
  }

  /** Whether anybody alive holds it. */
  get held(): boolean {
    return [...this.#open].some(({ state }) => state !== 'dead')
  }
}
