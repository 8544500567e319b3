import {
  SnapshotError,
  type KvEntry,
  type RangeOptions,
  type SnapshotView,
  type WatchCursor,
} from '@slip/kv-core'
import type { FoldImage } from './memory/fold-image.ts'

/** A pinned image of the fold with its cursor, until it is closed or its deadline passes. */
export class FoldView implements SnapshotView {
  readonly cursor: WatchCursor
  readonly #image: FoldImage
  readonly #timer: NodeJS.Timeout | undefined
  #open = true

  constructor(image: FoldImage, cursor: WatchCursor, deadlineMs: number | undefined) {
    this.#image = image
    this.cursor = cursor
    if (deadlineMs !== undefined) {
      this.#timer = setTimeout(() => this.close(), deadlineMs)
      this.#timer.unref()
    }
  }

  get(key: string): KvEntry | undefined {
    return this.#reads().get(key)
  }

  getMany(keys: readonly string[]): (KvEntry | undefined)[] {
    return this.#reads().getMany(keys)
  }

  has(key: string): boolean {
    return this.#reads().has(key)
  }

  range(prefix: string, options?: RangeOptions): KvEntry[] {
    return this.#reads().range(prefix, options)
  }

  entries(prefix?: string, options?: RangeOptions): IterableIterator<KvEntry> {
    return this.#reads().entries(prefix, options)
  }

  keys(prefix?: string, options?: RangeOptions): IterableIterator<string> {
    return this.#reads().keys(prefix, options)
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
