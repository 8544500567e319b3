import type { FileHandle } from 'node:fs/promises'
import { readFully } from './head-check.ts'

const WINDOW_PAGES = 256

/** Reads pages of a file, many at a time: a walk mostly goes on where it was. */
export class PageWindow {
  readonly #file: FileHandle
  readonly #pageBytes: number
  readonly #bytes: Buffer
  #first = -1
  #count = 0

  constructor(file: FileHandle, pageBytes: number) {
    this.#file = file
    this.#pageBytes = pageBytes
    this.#bytes = Buffer.allocUnsafe(WINDOW_PAGES * pageBytes)
  }

  /** The page, valid until the next call; undefined behind the end of the file. */
  async page(number: number): Promise<Buffer | undefined> {
    if (this.#first < 0 || number < this.#first || number >= this.#first + this.#count) {
      const got = await readFully(this.#file, this.#bytes, number * this.#pageBytes)
      this.#first = number
      this.#count = Math.floor(got / this.#pageBytes)
      if (this.#count === 0) return undefined
    }
    const at = (number - this.#first) * this.#pageBytes
    return this.#bytes.subarray(at, at + this.#pageBytes)
  }
}
