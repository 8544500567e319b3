import { stepAt } from './batch-encoder.ts'
import type { KeyText } from './key-text.ts'

/** A millisecond of work, about. */
const STEPS_AT_ONCE = 1_024

/** Steps of batches sorted by key, the last of each key. It never changes. */
export class MemoryLayer {
  readonly #texts: readonly KeyText[]
  /** The batch each step is in, and where. */
  readonly #batches: readonly Uint8Array[]
  readonly #at: readonly number[]

  private constructor(texts: readonly KeyText[], batches: readonly Uint8Array[], at: readonly number[]) {
    this.#texts = texts
    this.#batches = batches
    this.#at = at
  }

  /**
   * The layers of a batch, which is laid out as for the writing thread and is kept; the newest comes last. Each is a
   * millisecond of work, about.
   */
  static *of(batch: Uint8Array): Generator<MemoryLayer, undefined> {
    const buffer = Buffer.from(batch.buffer, batch.byteOffset, batch.length)
    for (let at = 0; at < batch.length;) {
      const latest = new Map<KeyText, number>()
      for (let i = 0; i < STEPS_AT_ONCE && at < batch.length; i++) {
        const { keyFrom, keyTo, to } = stepAt(batch, at)
        latest.set(buffer.toString('latin1', keyFrom, keyTo), at)
        at = to
      }
      const texts = [...latest.keys()].sort()
      yield new MemoryLayer(
        texts,
        texts.map(() => batch),
        texts.map((text) => latest.get(text)!),
      )
    }
  }

  /** Both in one; of a key that is in both the step of `newer`. Each step is a millisecond of work, at most. */
  static *merging(older: MemoryLayer, newer: MemoryLayer): Generator<undefined, MemoryLayer> {
    const texts: KeyText[] = []
    const batches: Uint8Array[] = []
    const at: number[] = []
    const take = (layer: MemoryLayer, index: number): void => {
      texts.push(layer.#texts[index]!)
      batches.push(layer.#batches[index]!)
      at.push(layer.#at[index]!)
    }
    let a = 0
    let b = 0
    while (a < older.size && b < newer.size) {
      if ((a + b) % STEPS_AT_ONCE === 0) yield
      const left = older.#texts[a]!
      const right = newer.#texts[b]!
      if (left < right) take(older, a++)
      else {
        take(newer, b++)
        if (left === right) a++
      }
    }
    for (; a < older.size; a++) {
      if (a % STEPS_AT_ONCE === 0) yield
      take(older, a)
    }
    for (; b < newer.size; b++) {
      if (b % STEPS_AT_ONCE === 0) yield
      take(newer, b)
    }
    return new MemoryLayer(texts, batches, at)
  }

  get size(): number {
    return this.#texts.length
  }

  text(index: number): KeyText {
    return this.#texts[index]!
  }

  /** What the step does, and its record. */
  step(index: number): { readonly what: number; readonly record: Uint8Array } {
    const batch = this.#batches[index]!
    const { what, keyTo, to } = stepAt(batch, this.#at[index]!)
    return { what, record: batch.subarray(keyTo, to) }
  }

  /** The index of the key; -1 when it is not here. */
  find(text: KeyText): number {
    const index = this.lowerBound(text)
    return this.#texts[index] === text ? index : -1
  }

  /** The index of the first key that is not below `text`. */
  lowerBound(text: KeyText): number {
    let low = 0
    let high = this.#texts.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#texts[middle]! < text) low = middle + 1
      else high = middle
    }
    return low
  }
}
