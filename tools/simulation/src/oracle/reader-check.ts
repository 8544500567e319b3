import type { FoldReader } from '@slip/kv-core'
import type { Verdict } from './verdict.ts'

/** Promise 6: a reader in the follower's process never sees a key go back, except across an announced rebuild. */
export class ReaderCheck {
  readonly #verdict: Verdict
  #seen = new Map<string, number>()
  #cursor = 0
  #announced = false
  /** Whether the replacement may be in use, and nobody has said so yet. */
  #swapping = false

  constructor(verdict: Verdict) {
    this.#verdict = verdict
  }

  /** The status said that the fold is being replaced. */
  announced(): void {
    this.#announced = true
  }

  /** The replacement is put in use: readers see it from some moment on, and the store says so when it is durable. */
  swapping(): void {
    this.#swapping = true
  }

  /** The replacement is in use. */
  swapped(): void {
    this.#swapping = false
    if (!this.#announced) this.#verdict.violated(6, 'the fold was replaced and the status never said so')
    this.#announced = false
    this.#seen = new Map()
    this.#cursor = 0
  }

  /** Nothing was replaced. */
  kept(): void {
    this.#swapping = false
  }

  look(fold: FoldReader): void {
    const cursor = Number(fold.cursor.revision ?? 0n)
    // Whichever it is that a reader sees while a swap is under way, the check of `swapped` begins anew.
    if (this.#swapping && this.#announced) return
    if (cursor < this.#cursor)
      this.#verdict.violated(6, `a reader saw the cursor go from ${this.#cursor} back to ${cursor}`)
    const seen = new Map<string, number>()
    for (const { key, version } of fold.entries()) {
      const revision = Number(version.revision ?? 0n)
      const before = this.#seen.get(key)
      if (before !== revision && revision <= this.#cursor)
        this.#verdict.violated(
          6,
          `a reader at ${cursor} saw ${key}@${revision}, which at ${this.#cursor} was ${before ?? 'not there'}`,
        )
      seen.set(key, revision)
    }
    for (const key of this.#seen.keys())
      if (!seen.has(key) && cursor === this.#cursor)
        this.#verdict.violated(6, `a reader saw ${key} vanish at cursor ${cursor}`)
    this.#seen = seen
    this.#cursor = cursor
  }
}
