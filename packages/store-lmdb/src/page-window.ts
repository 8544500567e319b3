import type { FileHandle } from 'node:fs/promises'
import { readFully } from './head-check.ts'

const MOST_PAGES = 256
/** A page this close behind what was read is where the walk went on. */
const NEAR_PAGES = 16

/** Reads pages of a file: many at a time where a walk goes on where it was, one where it jumps. */
export class PageWindow {
  readonly #file: FileHandle
  readonly #pageBytes: number
  readonly #bytes: Buffer
  #first = -1
  #count = 0
  #wanted = 1
  /** Bytes that were read. */
  bytes = 0

  constructor(file: FileHandle, pageBytes: number) {
    this.#file = file
    this.#pageBytes = pageBytes
    this.#bytes = Buffer.allocUnsafe(MOST_PAGES * pageBytes)
  }

  /** Whether it can be had without reading. */
  has(number: number): boolean {
    return this.#first >= 0 && number >= this.#first && number < this.#first + this.#count
  }

  /** The page, valid until the next call; undefined behind the end of the file. */
  async page(number: number): Promise<Buffer | undefined> {
    if (!this.has(number)) {
      const behind = number - (this.#first + this.#count)
      this.#wanted = behind >= 0 && behind < NEAR_PAGES ? Math.min(2 * this.#wanted, MOST_PAGES) : 1
      const target = this.#bytes.subarray(0, this.#wanted * this.#pageBytes)
      const got = await readFully(this.#file, target, number * this.#pageBytes)
      this.bytes += got
      this.#first = number
      this.#count = Math.floor(got / this.#pageBytes)
      if (this.#count === 0) return undefined
    }
    const at = (number - this.#first) * this.#pageBytes
    return this.#bytes.subarray(at, at + this.#pageBytes)
  }
}
