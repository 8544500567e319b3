const MARK_BITS = 27

/** Remembers keys in 16 MiB, however many: surely not there, or possibly there. */
export class KeyMarks {
  readonly #marks: Uint8Array
  readonly #bits: number

  /** One of 2^`bits` marks a key. */
  constructor(bits: number = MARK_BITS) {
    this.#marks = new Uint8Array(1 << (bits - 3))
    this.#bits = bits
  }

  set(key: string): void {
    const mark = this.#markOf(key)
    this.#marks[mark >>> 3]! |= 1 << (mark & 7)
  }

  /** False only for a key that was never set. */
  has(key: string): boolean {
    const mark = this.#markOf(key)
    return (this.#marks[mark >>> 3]! & (1 << (mark & 7))) !== 0
  }

  // FNV-1a over UTF-16 units, folded to the mark's width: only its spread matters.
  #markOf(key: string): number {
    let hash = 0x811c9dc5
    for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193)
    return (hash ^ (hash >>> 15)) >>> (32 - this.#bits)
  }
}
