import type { Message } from './message.ts'

const CHUNK_BITS = 10
const CHUNK_SIZE = 1 << CHUNK_BITS

interface Chunk {
  readonly number: number
  readonly slots: (Message | undefined)[]
  held: number
  /** No slot below this one is held. */
  low: number
}

/**
 * The messages of a bucket by revision. Removing one costs the same wherever it lies, and a chunk
 * that holds nothing is let go, so the size follows what is held and not what was written.
 */
export class MessageLog {
  readonly #chunks: Chunk[] = []
  #last = 0

  /** The newest revision ever given; stays when its message is removed. */
  get lastRevision(): number {
    return this.#last
  }

  /** The oldest revision still held; one above the last when nothing is. */
  get firstRevision(): number {
    return this.after(0)?.revision ?? this.#last + 1
  }

  append(message: Message): void {
    const number = Math.floor(message.revision / CHUNK_SIZE)
    let chunk = this.#chunks.at(-1)
    if (chunk?.number !== number) {
      chunk = {
        number,
        slots: Array.from({ length: CHUNK_SIZE }),
        held: 0,
        low: message.revision % CHUNK_SIZE,
      }
      this.#chunks.push(chunk)
    }
    const slot = message.revision % CHUNK_SIZE
    chunk.slots[slot] = message
    chunk.low = Math.min(chunk.low, slot)
    chunk.held++
    this.#last = message.revision
  }

  at(revision: number): Message | undefined {
    const number = Math.floor(revision / CHUNK_SIZE)
    const chunk = this.#chunks[this.#firstChunkFrom(number)]
    return chunk?.number === number ? chunk.slots[revision % CHUNK_SIZE] : undefined
  }

  /** The oldest message above `revision`. */
  after(revision: number): Message | undefined {
    const from = revision + 1
    const number = Math.floor(from / CHUNK_SIZE)
    for (let i = this.#firstChunkFrom(number); i < this.#chunks.length; i++) {
      const chunk = this.#chunks[i]!
      const start = chunk.number === number ? Math.max(from % CHUNK_SIZE, chunk.low) : chunk.low
      for (let slot = start; slot < CHUNK_SIZE; slot++) {
        const message = chunk.slots[slot]
        if (message !== undefined) return message
      }
    }
    return undefined
  }

  remove(revision: number): void {
    const number = Math.floor(revision / CHUNK_SIZE)
    const index = this.#firstChunkFrom(number)
    const chunk = this.#chunks[index]
    const slot = revision % CHUNK_SIZE
    if (chunk?.number !== number || chunk.slots[slot] === undefined) return
    chunk.slots[slot] = undefined
    if (--chunk.held === 0) this.#chunks.splice(index, 1)
    else while (chunk.slots[chunk.low] === undefined) chunk.low++
  }

  /** Makes `revision` the last one given. The messages above it must have been removed. */
  rewind(revision: number): void {
    this.#last = revision
  }

  #firstChunkFrom(number: number): number {
    let low = 0
    let high = this.#chunks.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#chunks[middle]!.number < number) low = middle + 1
      else high = middle
    }
    return low
  }
}
