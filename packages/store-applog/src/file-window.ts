import { SnapshotError } from '@slip/kv-core'
import type { LogHandle } from './file-system.ts'
import type { FileWindow } from './scan.ts'

const READ_BYTES = 1024 * 1024
const BUFFER_BYTES = 4 * READ_BYTES

/**
 * A sliding window over a file, read in stretches of 1 MiB, the next one while the last is worked on;
 * it grows only for a frame or record that is larger. Bytes handed out are valid until the next call.
 */
export class SlidingWindow {
  readonly #handle: LogHandle
  readonly #size: number
  #buffer: Uint8Array = new Uint8Array(BUFFER_BYTES)
  #offset = 0
  #filled = 0
  /** A read of what follows the window, into the buffer behind `#filled`: meanwhile nothing moves. */
  #ahead: Promise<number> | undefined

  constructor(handle: LogHandle, size: number) {
    this.#handle = handle
    this.#size = size
  }

  /** The window when it holds `[at, at + length)` already. */
  held(at: number, length: number): FileWindow | undefined {
    if (at < this.#offset || at + length > this.#offset + this.#filled) return undefined
    return { bytes: this.#buffer, offset: this.#offset, filled: this.#filled }
  }

  /** Reads until the window holds `[at, at + length)`. SnapshotError `Io` when the file ends before. */
  async reach(at: number, length: number): Promise<FileWindow> {
    if (this.#ahead !== undefined) this.#filled += await this.#ahead
    this.#ahead = undefined
    this.#moveTo(at, length)
    const needed = at - this.#offset + length
    while (this.#filled < needed) {
      const bytesRead = await this.#read()
      if (bytesRead === 0)
        throw new SnapshotError('Io', 'the log became shorter while it was read', {
          at: this.#offset + this.#filled,
        })
      this.#filled += bytesRead
    }
    if (this.#offset + this.#filled < this.#size && this.#buffer.length - this.#filled >= READ_BYTES) {
      this.#ahead = this.#read()
      // Looked at by the next call; a scan that ends before it does not need it.
      this.#ahead.catch(() => undefined)
    }
    return { bytes: this.#buffer, offset: this.#offset, filled: this.#filled }
  }

  async #read(): Promise<number> {
    const position = this.#offset + this.#filled
    const length = Math.min(READ_BYTES, this.#buffer.length - this.#filled, this.#size - position)
    const { bytesRead } = await this.#handle.read(this.#buffer, this.#filled, length, position)
    return bytesRead
  }

  /** Makes room for `[at, at + length)` and one read more, keeping what is held of it. */
  #moveTo(at: number, length: number): void {
    const start = at - this.#offset
    if (start >= 0 && start <= this.#filled && start + length + 2 * READ_BYTES <= this.#buffer.length) return
    const kept = start >= 0 && start < this.#filled ? this.#buffer.subarray(start, this.#filled) : undefined
    if (length + 2 * READ_BYTES > this.#buffer.length) {
      const larger = new Uint8Array(Math.ceil(length / READ_BYTES) * READ_BYTES + BUFFER_BYTES)
      if (kept !== undefined) larger.set(kept)
      this.#buffer = larger
    } else if (kept !== undefined) this.#buffer.copyWithin(0, start, this.#filled)
    this.#filled = kept?.length ?? 0
    this.#offset = at
  }
}
