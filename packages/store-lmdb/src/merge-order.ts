import type { KeyText } from './key-text.ts'

/** Where one of several sorted sources is. */
export interface MergeHead {
  readonly text: KeyText
  /** Among heads at the same key the highest rank comes first. */
  readonly rank: number
  /** Goes to the next key; false at the end. */
  advance(): boolean
}

/** Sorted sources as one: the head with the lowest key, or the highest, is at the top. */
export class MergeOrder<H extends MergeHead> {
  readonly #heap: H[]
  readonly #reverse: boolean

  /** `heads` stand at their first key. */
  constructor(heads: readonly H[], reverse = false) {
    this.#heap = [...heads]
    this.#reverse = reverse
    for (let i = (this.#heap.length >> 1) - 1; i >= 0; i--) this.#sink(i)
  }

  get top(): H | undefined {
    return this.#heap[0]
  }

  /** Moves every head that is at the key of the top. */
  skip(): void {
    const heap = this.#heap
    const text = heap[0]?.text
    for (let top = heap[0]; top !== undefined && top.text === text; top = heap[0]) {
      if (!top.advance()) {
        const last = heap.pop()!
        if (heap.length === 0) return
        if (last !== top) heap[0] = last
      }
      this.#sink(0)
    }
  }

  #sink(from: number): void {
    const heap = this.#heap
    const moved = heap[from]!
    let at = from
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && this.#before(heap[child + 1]!, heap[child]!)) child++
      if (!this.#before(heap[child]!, moved)) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = moved
  }

  #before(a: H, b: H): boolean {
    if (a.text === b.text) return a.rank > b.rank
    return this.#reverse ? a.text > b.text : a.text < b.text
  }
}
