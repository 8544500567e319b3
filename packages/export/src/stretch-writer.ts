import type { LogHandle } from '@slip/kv-core/store-parts'

const STRETCH_BYTES = 512 * 1024

/**
 * Writes bytes one after the other, in stretches; each one is shown to `onStretch` first. One is written while the
 * next one fills, so that a failed write is thrown by a later call, at the latest by `flush`.
 */
export class StretchWriter {
  readonly #file: LogHandle
  readonly #onStretch: ((bytes: Uint8Array) => void) | undefined
  #stretch: Uint8Array = new Uint8Array(STRETCH_BYTES)
  #spare: Uint8Array | undefined
  #held = 0
  /** Where the stretch begins. */
  #position: number
  #writing: Promise<void> = Promise.resolve()

  constructor(file: LogHandle, onStretch?: (bytes: Uint8Array) => void, position = 0) {
    this.#file = file
    this.#onStretch = onStretch
    this.#position = position
  }

  /** Where the next byte comes. */
  get end(): number {
    return this.#position + this.#held
  }

  /** Whether they fit without waiting. */
  fits(length: number): boolean {
    return this.#held + length <= STRETCH_BYTES
  }

  /** Adds bytes that fit. */
  put(bytes: Uint8Array): void {
    this.#stretch.set(bytes, this.#held)
    this.#held += bytes.length
  }

  async add(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      if (!this.fits(1)) await this.#turn()
      const part = bytes.subarray(at, at + STRETCH_BYTES - this.#held)
      this.put(part)
      at += part.length
    }
  }

  /** Behind it everything that was added is written. */
  async flush(): Promise<void> {
    await this.#turn()
    await this.#writing
  }

  /** Waits for the write before, so that there are never more than two stretches. */
  async #turn(): Promise<void> {
    const full = this.#stretch.subarray(0, this.#held)
    if (full.length === 0) return
    await this.#writing
    this.#onStretch?.(full)
    this.#writing = this.#write(full, this.#position)
    this.#writing.catch(() => undefined)
    ;[this.#stretch, this.#spare] = [this.#spare ?? new Uint8Array(STRETCH_BYTES), this.#stretch]
    this.#position += full.length
    this.#held = 0
  }

  async #write(bytes: Uint8Array, position: number): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      const left = bytes.length - at
      at += (await this.#file.write(bytes, at, left, position + at)).bytesWritten
    }
  }
}
