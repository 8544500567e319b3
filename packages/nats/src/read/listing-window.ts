const MAX_HELD_ITEMS = 16_384
const MAX_HELD_BYTES = 8 * 1024 * 1024

/**
 * The end of a listing that may still change: what was received last is held, up to 16,384 items or
 * 8 MiB, so that a key written again is listed once and a key removed is not listed.
 */
export class ListingWindow<T extends { readonly key: string }> {
  readonly #sizeOf: (item: T) => number
  readonly #held = new Map<string, T>()
  #bytes = 0
  #overflowed = false

  constructor(sizeOf: (item: T) => number) {
    this.#sizeOf = sizeOf
  }

  /** Something was let go before the end, and cannot be taken back. */
  get overflowed(): boolean {
    return this.#overflowed
  }

  put(item: T): void {
    this.remove(item.key)
    this.#held.set(item.key, item)
    this.#bytes += this.#sizeOf(item)
  }

  remove(key: string): void {
    const held = this.#held.get(key)
    if (held === undefined) return
    this.#held.delete(key)
    this.#bytes -= this.#sizeOf(held)
  }

  /**
   * Above a limit, lets the older half go. Not one by one: finding the first of a Map walks over all
   * that were deleted before it.
   */
  *excess(): Generator<T> {
    if (this.#held.size <= MAX_HELD_ITEMS && this.#bytes <= MAX_HELD_BYTES) return
    this.#overflowed = true
    for (const [key, item] of this.#held) {
      if (this.#held.size <= MAX_HELD_ITEMS / 2 && this.#bytes <= MAX_HELD_BYTES / 2) return
      this.remove(key)
      yield item
    }
  }

  /** Lets everything go, in the order it was received. */
  *rest(): Generator<T> {
    yield* this.#held.values()
  }
}
