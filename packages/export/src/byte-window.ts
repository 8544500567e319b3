import { SnapshotError } from '@slip/kv-core'

const STRETCH_BYTES = 256 * 1024

/** What comes next of bytes that come in pieces; what it shows is valid until the next call of `fill`. */
export class ByteWindow {
  readonly #pieces: AsyncIterator<Uint8Array>
  readonly #what: string
  #buffer: Buffer = Buffer.allocUnsafe(2 * STRETCH_BYTES)
  #from = 0
  #to = 0
  #passed = 0

  /** `what` is named by errors. */
  constructor(pieces: AsyncIterable<Uint8Array>, what: string) {
    this.#pieces = pieces[Symbol.asyncIterator]()
    this.#what = what
  }

  /** Bytes that can be had without waiting. */
  get held(): number {
    return this.#to - this.#from
  }

  /** The bytes that are held. */
  get bytes(): Buffer {
    return this.#buffer.subarray(this.#from, this.#to)
  }

  /** Goes past bytes that are held. */
  skip(length: number): void {
    this.#from += length
    this.#passed += length
  }

  /** Until at least so many are held; false when there are fewer. */
  async fill(length: number): Promise<boolean> {
    while (this.held < length) {
      const { done, value } = await this.#pieces.next()
      if (done === true) return false
      this.#hold(value)
    }
    return true
  }

  /** A copy of the next bytes, and goes past them. SnapshotError `Corrupted` when there are fewer. */
  async take(length: number): Promise<Buffer> {
    if (!(await this.fill(length))) throw this.wrong('Corrupted', 'it is cut short')
    const taken = Buffer.from(this.bytes.subarray(0, length))
    this.skip(length)
    return taken
  }

  /** Lets go of what gives the pieces. */
  async close(): Promise<void> {
    await this.#pieces.return?.()
  }

  wrong(code: 'InvalidFormat' | 'Corrupted', problem: string): SnapshotError {
    return new SnapshotError(code, `${this.#what}: ${problem}, at byte ${this.#passed}`, { at: this.#passed })
  }

  #hold(piece: Uint8Array): void {
    const { held } = this
    if (held + piece.length > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(held + piece.length + STRETCH_BYTES)
      this.#buffer.copy(larger, 0, this.#from, this.#to)
      this.#buffer = larger
    } else if (this.#to + piece.length > this.#buffer.length) this.#buffer.copyWithin(0, this.#from, this.#to)
    else {
      this.#buffer.set(piece, this.#to)
      this.#to += piece.length
      return
    }
    this.#buffer.set(piece, held)
    this.#from = 0
    this.#to = held + piece.length
  }
}
