import { SnapshotError } from '@slip/kv-core'
import type { LogHandle } from '@slip/kv-core/store-parts'
import type { FileWindow } from './scan.ts'

const READ_BYTES = 1024 * 1024
const BUFFER_BYTES = 4 * READ_BYTES

/** A window over a file, read in stretches of 1 MiB, the next one while the last is worked on. */
abstract class ReadWindow {
  protected buffer: Uint8Array = new Uint8Array(0)
  /** Where in the file the buffer begins. */
  protected offset = 0
  protected filled = 0
  protected readonly size: number
  readonly #handle: LogHandle
  /** A read of what follows the window, into the buffer behind `filled`: meanwhile nothing moves. */
  #ahead: Promise<number> | undefined

  constructor(handle: LogHandle, size: number) {
    this.#handle = handle
    this.size = size
  }

  /** The window when it holds `[at, at + length)` already. */
  held(at: number, length: number): FileWindow | undefined {
    if (at < this.offset || at + length > this.offset + this.filled) return undefined
    return this.window()
  }

  /** Reads until the window holds `[at, at + length)`. SnapshotError `Io` when the file ends before. */
  async reach(at: number, length: number): Promise<FileWindow> {
    if (this.#ahead !== undefined) this.filled += await this.#ahead
    this.#ahead = undefined
    this.moveTo(at, length)
    const needed = at - this.offset + length
    while (this.filled < needed) {
      const bytesRead = await this.#read()
      if (bytesRead === 0)
        throw new SnapshotError('Io', 'the log became shorter while it was read', {
          at: this.offset + this.filled,
        })
      this.filled += bytesRead
    }
    if (this.offset + this.filled < this.size && this.filled < this.buffer.length) {
      this.#ahead = this.#read()
      // Looked at by the next call; a scan that ends before it does not need it.
      this.#ahead.catch(() => undefined)
    }
    return this.window()
  }

  protected abstract window(): FileWindow

  /** Makes room for `[at, at + length)`, keeping what is held of it. */
  protected abstract moveTo(at: number, length: number): void

  async #read(): Promise<number> {
    const position = this.offset + this.filled
    const length = Math.min(READ_BYTES, this.buffer.length - this.filled, this.size - position)
    const { bytesRead } = await this.#handle.read(this.buffer, this.filled, length, position)
    return bytesRead
  }
}

/** Slides over the file in one buffer, which grows only for a frame or record that is larger. Bytes are valid until the next call. */
export class SlidingWindow extends ReadWindow {
  protected window(): FileWindow {
    return { bytes: this.buffer, given: false, offset: this.offset, filled: this.filled }
  }

  protected moveTo(at: number, length: number): void {
    const start = at - this.offset
    if (start >= 0 && start <= this.filled && start + length + 2 * READ_BYTES <= this.buffer.length) return
    const kept = start >= 0 && start < this.filled ? this.buffer.subarray(start, this.filled) : undefined
    if (length + 2 * READ_BYTES > this.buffer.length) {
      const larger = new Uint8Array(Math.ceil(length / READ_BYTES) * READ_BYTES + BUFFER_BYTES)
      if (kept !== undefined) larger.set(kept)
      this.buffer = larger
    } else if (kept !== undefined) this.buffer.copyWithin(0, start, this.filled)
    this.filled = kept?.length ?? 0
    this.offset = at
  }
}

/** Goes through the file in one buffer after another, each given away; a frame that is larger than they are is not. */
export class GivenWindow extends ReadWindow {
  readonly #bytes: number

  constructor(handle: LogHandle, size: number, bytes: number) {
    super(handle, size)
    this.#bytes = bytes
  }

  protected window(): FileWindow {
    const given = this.buffer.length <= this.#bytes
    return { bytes: this.buffer, given, offset: this.offset, filled: this.filled }
  }

  protected moveTo(at: number, length: number): void {
    const start = at - this.offset
    if (start >= 0 && start <= this.filled && start + length <= this.buffer.length) return
    const kept = start >= 0 && start < this.filled ? this.buffer.subarray(start, this.filled) : undefined
    this.buffer = new Uint8Array(Math.max(length, Math.min(this.#bytes, this.size - at)))
    if (kept !== undefined) this.buffer.set(kept)
    this.filled = kept?.length ?? 0
    this.offset = at
  }
}
