import { SnapshotError, type ListedKey, type SnapshotView, type WatchCursor } from '@slip/kv-core'
import { ForwardedReads } from './forwarded-reads.ts'
import type { FoldImage, FoldReads } from './memory/memory-fold.ts'

/** A pinned image of the fold with its cursor, until it is closed or its deadline passes. */
export class FoldView extends ForwardedReads implements SnapshotView {
  readonly cursor: WatchCursor
  readonly #image: FoldImage
  readonly #timer: NodeJS.Timeout | undefined
  #open = true

  constructor(image: FoldImage, cursor: WatchCursor, deadlineMs: number | undefined) {
    super()
    this.#image = image
    this.cursor = cursor
    if (deadlineMs !== undefined) {
      this.#timer = setTimeout(() => this.close(), deadlineMs)
      this.#timer.unref()
    }
  }

  protected readable(): FoldReads {
    return this.#reads()
  }

  /** Names whose last update was a removal, in key-byte order; none in generation 2. */
  deletedKeys(prefix?: string): IterableIterator<ListedKey> {
    return this.#reads().deletedKeys(prefix)
  }

  close(): void {
    if (!this.#open) return
    this.#open = false
    clearTimeout(this.#timer)
    this.#image.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #reads(): FoldImage {
    if (!this.#open) throw new SnapshotError('ViewExpired', 'the view was closed, or its deadline has passed')
    return this.#image
  }
}
