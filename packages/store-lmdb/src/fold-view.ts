import { SnapshotError, type SnapshotView } from '@slip/kv-core'
import type { FoldCut } from './fold-cut.ts'
import { FoldReads } from './fold-reads.ts'

/** A cut that stays until it is closed or its deadline passes. */
export class FoldView extends FoldReads implements SnapshotView {
  protected readonly verifyReads: boolean
  readonly #cut: FoldCut
  readonly #timer: NodeJS.Timeout | undefined
  #open = true

  constructor(
    cut: FoldCut,
    options: { readonly verifyReads: boolean; readonly deadlineMs: number | undefined },
  ) {
    super()
    this.#cut = cut.retain()
    this.verifyReads = options.verifyReads
    if (options.deadlineMs !== undefined) {
      this.#timer = setTimeout(() => this.close(), options.deadlineMs)
      this.#timer.unref()
    }
  }

  close(): void {
    if (!this.#open) return
    this.#open = false
    clearTimeout(this.#timer)
    this.#cut.release()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  protected cut(): FoldCut {
    if (!this.#open || !this.#cut.isOpen)
      throw new SnapshotError('ViewExpired', 'the view was closed, or its deadline has passed')
    return this.#cut
  }
}
