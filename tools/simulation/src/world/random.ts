/** A stream of choices decided by its seed (sfc32, Doty-Humphrey). Streams of different seeds have nothing to do with each other. */
export class Random {
  #a: number
  #b: number
  #c: number
  #counter = 1

  constructor(seed: string) {
    let hash = 0x811c_9dc5
    const word = (): number => {
      for (let i = 0; i < seed.length; i++) hash = Math.imul(hash ^ seed.charCodeAt(i), 0x0100_0193)
      hash = Math.imul(hash ^ (hash >>> 15), 0x85eb_ca6b)
      return hash | 0
    }
    this.#a = word()
    this.#b = word()
    this.#c = word()
    for (let i = 0; i < 12; i++) this.#next()
  }

  /** From 0 inclusive to 1 exclusive. */
  fraction(): number {
    return this.#next() / 0x1_0000_0000
  }

  /** A whole number from 0 up to, not including, `limit`. */
  below(limit: number): number {
    return Math.floor(this.fraction() * limit)
  }

  /** A whole number from `from` to `to`, both included. */
  between(from: number, to: number): number {
    return from + this.below(to - from + 1)
  }

  chance(probability: number): boolean {
    return this.fraction() < probability
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!
  }

  /** Exponentially distributed. */
  around(mean: number): number {
    return -Math.log(1 - this.fraction()) * mean
  }

  fillBytes(bytes: Uint8Array): void {
    for (let i = 0; i < bytes.length; i++) bytes[i] = this.#next() & 255
  }

  #next(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum
    this.#c |= 0
    return sum >>> 0
  }
}
