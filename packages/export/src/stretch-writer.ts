import type { LogHandle } from '@slip/kv-core/store-parts'

const STRETCH_BYTES = 256 * 1024

/** Writes bytes one after the other, in stretches; each one is shown to `onStretch` first. */
export class StretchWriter {
  readonly #file: LogHandle
  readonly #onStretch: ((bytes: Uint8Array) => void) | undefined
  readonly #stretch: Uint8Array = new Uint8Array(STRETCH_BYTES)
  #held = 0
  #written = 0

  constructor(file: LogHandle, onStretch?: (bytes: Uint8Array) => void) {
    this.#file = file
    this.#onStretch = onStretch
  }

  /** How many bytes were added. */
  get end(): number {
    return this.#written + this.#held
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
    if (!this.fits(bytes.length)) await this.flush()
    if (bytes.length > STRETCH_BYTES) await this.#write(bytes)
    else this.put(bytes)
  }

  async flush(): Promise<void> {
    const held = this.#held
    this.#held = 0
    await this.#write(this.#stretch.subarray(0, held))
  }

  async #write(bytes: Uint8Array): Promise<void> {
    this.#onStretch?.(bytes)
    for (let at = 0; at < bytes.length;) {
      const { bytesWritten } = await this.#file.write(bytes, at, bytes.length - at, this.#written)
      at += bytesWritten
      this.#written += bytesWritten
    }
  }
}
