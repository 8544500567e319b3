const CHUNK_BYTES = 4 * 1024 * 1024

/**
 * Batches one behind the other, in memory that is used again after `clear`: memory that is taken and given back
 * for each of them is left in pieces that nothing else fits into.
 */
export class KeptBatches {
  readonly #chunks: Buffer[] = []
  /** The chunk that is filled, and how far. */
  #chunk = 0
  #end = 0
  #batches: Buffer[] = []

  /** Keeps a copy, and says its number. */
  add(batch: Uint8Array): number {
    const kept = this.#room(batch.length)
    kept.set(batch)
    return this.#batches.push(kept) - 1
  }

  /** Valid until `clear`. */
  at(number: number): Buffer {
    return this.#batches[number]!
  }

  clear(): void {
    this.#batches = []
    this.#chunk = 0
    this.#end = 0
  }

  #room(bytes: number): Buffer {
    if (bytes > CHUNK_BYTES) return Buffer.allocUnsafeSlow(bytes)
    if (this.#end + bytes > CHUNK_BYTES) {
      this.#chunk++
      this.#end = 0
    }
    const chunk = (this.#chunks[this.#chunk] ??= Buffer.allocUnsafeSlow(CHUNK_BYTES))
    this.#end += bytes
    return chunk.subarray(this.#end - bytes, this.#end)
  }
}
