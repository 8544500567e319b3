import { SnapshotError } from '@slip/kv-core'
import type { LogHandle } from './file-system.ts'
import type { FileWindow } from './scan.ts'

const READ_BYTES = 1024 * 1024

/**
 * A sliding window over a file, read in stretches of 1 MiB; it grows only for a frame or record that
 * is larger. Bytes handed out are valid until the next call.
 */
export class SlidingWindow {
  readonly #handle: LogHandle
  readonly #size: number
  #buffer: Uint8Array = new Uint8Array(READ_BYTES)
  #offset = 0
  #filled = 0

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
    this.#moveTo(at, length)
    const wanted = Math.min(this.#buffer.length, this.#size - at)
    while (this.#filled < wanted) {
      const { bytesRead } = await this.#handle.read(
        this.#buffer,
        this.#filled,
        wanted - this.#filled,
        this.#offset + this.#filled,
      )
      if (bytesRead === 0) break
      this.#filled += bytesRead
    }
    if (this.#filled < length)
      throw new SnapshotError('Io', 'the log became shorter while it was read', { at: at + this.#filled })
    return { bytes: this.#buffer, offset: this.#offset, filled: this.#filled }
  }

  #moveTo(at: number, length: number): void {
    const end = this.#offset + this.#filled
    const kept =
      at >= this.#offset && at < end ? this.#buffer.subarray(at - this.#offset, this.#filled) : undefined
    if (length > this.#buffer.length) {
      const larger = new Uint8Array(Math.ceil(length / READ_BYTES) * READ_BYTES)
      if (kept !== undefined) larger.set(kept)
      this.#buffer = larger
    } else if (kept !== undefined) {
      this.#buffer.copyWithin(0, at - this.#offset, this.#filled)
    }
    this.#filled = kept?.length ?? 0
    this.#offset = at
  }
}
