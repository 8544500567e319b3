/** A set of hashes of 64 bits, each with a mark from 1 to 255, in a fixed room: 9 bytes a slot. */
export class HashTable {
  readonly #high: Uint32Array
  readonly #low: Uint32Array
  readonly #marks: Uint8Array
  readonly #mask: number
  size = 0

  /** For at most `most` hashes. */
  constructor(most: number) {
    const slots = 2 ** Math.ceil(Math.log2(Math.max(16, (most * 4) / 3)))
    this.#high = new Uint32Array(slots)
    this.#low = new Uint32Array(slots)
    this.#marks = new Uint8Array(slots)
    this.#mask = slots - 1
  }

  /** 0 for one that is not there. */
  markOf(high: number, low: number): number {
    return this.#marks[this.#slotOf(high, low)]!
  }

  mark(high: number, low: number, mark: number): void {
    const slot = this.#slotOf(high, low)
    if (this.#marks[slot] === 0) {
      if (this.size + 1 > this.#mask) throw new RangeError('more hashes than were expected')
      this.size++
      this.#high[slot] = high
      this.#low[slot] = low
    }
    this.#marks[slot] = mark
  }

  count(mark: number): number {
    let found = 0
    for (const each of this.#marks) if (each === mark) found++
    return found
  }

  *marked(mark: number): Generator<readonly [high: number, low: number]> {
    for (let slot = 0; slot <= this.#mask; slot++)
      if (this.#marks[slot] === mark) yield [this.#high[slot]!, this.#low[slot]!]
  }

  /** Where it is, or would be. The hashes are even already. */
  #slotOf(high: number, low: number): number {
    for (let slot = low & this.#mask; ; slot = (slot + 1) & this.#mask)
      if (this.#marks[slot] === 0 || (this.#high[slot] === high && this.#low[slot] === low)) return slot
  }
}
