/** A set of page numbers up to a last one, a bit each. */
export class PageSet {
  readonly #bits: Uint8Array
  #size = 0

  constructor(lastPage: number) {
    this.#bits = new Uint8Array(Math.ceil((lastPage + 1) / 8))
  }

  get size(): number {
    return this.#size
  }

  has(page: number): boolean {
    return (this.#bits[page >> 3]! & (1 << (page & 7))) !== 0
  }

  /** False when it was there. */
  add(page: number): boolean {
    if (this.has(page)) return false
    this.#bits[page >> 3]! |= 1 << (page & 7)
    this.#size++
    return true
  }
}
