import type { ApplyContext, KvUpdate } from '@slip/kv-core'
import { applied, contentDifference, type FoldContent, type Held } from './fold-content.ts'
import type { Verdict } from './verdict.ts'

/** Promise 3, for one life of a process: what `apply` is given, in order, each revision once, and all of it. */
export class ApplyCheck {
  readonly #verdict: Verdict
  readonly #maxCount: number
  readonly #maxValueBytes: number
  #model: FoldContent
  #through = 0

  /** `found` is what the fold held when the process began. */
  constructor(
    verdict: Verdict,
    limits: { readonly maxCount: number; readonly maxValueBytes: number },
    found: FoldContent,
    cursor: number,
  ) {
    this.#verdict = verdict
    this.#maxCount = limits.maxCount
    this.#maxValueBytes = limits.maxValueBytes
    this.#model = found
    this.#through = cursor
  }

  /** Before `apply` does its work. */
  given(batch: readonly KvUpdate[], context: ApplyContext): void {
    const { phase } = context
    // What a rebuild has from an artifact comes in the order of keys, before there is a position.
    const isPrimed = phase === 'resync' && context.cursor.isNone
    if (isPrimed) this.#verdict.count('batches from an artifact')
    const cursor = Number(context.cursor.revision ?? 0n)
    let through = this.#through
    let previous = 0
    for (const update of batch) {
      const revision = Number(update.version.revision ?? 0n)
      if (revision === 0) {
        if (phase !== 'resync')
          this.#verdict.violated(3, `${update.key} came without a revision while ${phase}`)
        continue
      }
      if (isPrimed) continue
      if (revision > cursor) this.#verdict.violated(2, `apply got revision ${revision} with cursor ${cursor}`)
      if (revision <= previous)
        this.#verdict.violated(3, `apply got revision ${revision} after ${previous} in one batch`)
      // Another history, or a rebuild that begins anew, gives revisions again; nothing else does.
      if (previous === 0 && phase === 'resync' && revision <= through) through = 0
      if (revision <= through)
        this.#verdict.violated(3, `apply got revision ${revision} again after ${through} (${phase})`)
      previous = revision
    }
    const removals = batch.every(({ version }) => version.isUnknown)
    if (batch.length > this.#maxCount && !removals)
      this.#verdict.violated(12, `a batch of ${batch.length} updates, the most is ${this.#maxCount}`)
  }

  /** After `apply` did its work. */
  done(batch: readonly KvUpdate[], { phase }: ApplyContext): void {
    this.#model = applied(this.#model, batch)
    const newest = Math.max(0, ...batch.map(({ version }) => Number(version.revision ?? 0n)))
    if (newest > 0) this.#through = newest
    this.#verdict.count(`batches applied: ${phase}`)
  }

  /** A rebuild is the fold now, at `cursor`: what follows goes on from there. */
  swapped(cursor: number): void {
    this.#through = cursor
  }

  /** How what `apply` was given differs from what the fold holds, once everything is in step. */
  difference(fold: FoldContent): string | undefined {
    // `apply` gets values that the fold has no room for.
    const fits = ({ value }: Held): boolean => value !== undefined && value.length <= this.#maxValueBytes
    const kept = new Map([...this.#model].filter(([, held]) => fits(held)))
    return contentDifference(kept, fold, false)
  }
}
