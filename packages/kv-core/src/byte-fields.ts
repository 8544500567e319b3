const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Appends fixed-width big-endian numbers and length-prefixed text. */
export class ByteWriter {
  #bytes = new Uint8Array(256)
  #length = 0

  get length(): number {
    return this.#length
  }

  u8(value: number): void {
    this.#room(1)[0] = value
  }

  u16(value: number): void {
    const at = this.#room(2)
    at[0] = value >> 8
    at[1] = value & 0xff
  }

  u64(value: bigint): void {
    const at = this.#room(8)
    new DataView(at.buffer, at.byteOffset, 8).setBigUint64(0, value)
  }

  /** `RangeError` above 65,535 bytes. */
  text(value: string): void {
    const encoded = encoder.encode(value)
    if (encoded.length > 0xffff) throw new RangeError('a text field has at most 65,535 bytes')
    this.u16(encoded.length)
    this.#room(encoded.length).set(encoded)
  }

  bytes(): Uint8Array {
    return this.#bytes.slice(0, this.#length)
  }

  #room(size: number): Uint8Array {
    const end = this.#length + size
    if (end > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(end, this.#bytes.length * 2))
      grown.set(this.#bytes)
      this.#bytes = grown
    }
    const at = this.#bytes.subarray(this.#length, end)
    this.#length = end
    return at
  }
}

/** Reads what ByteWriter wrote; anything short, long or not UTF-8 throws what `refuse` makes. */
export class ByteReader {
  readonly #bytes: Uint8Array
  readonly #refuse: (what: string) => Error
  #at = 0

  constructor(bytes: Uint8Array, refuse: (what: string) => Error) {
    this.#bytes = bytes
    this.#refuse = refuse
  }

  u8(): number {
    return this.#take(1)[0]!
  }

  u16(): number {
    const at = this.#take(2)
    return (at[0]! << 8) | at[1]!
  }

  u64(): bigint {
    const at = this.#take(8)
    return new DataView(at.buffer, at.byteOffset, 8).getBigUint64(0)
  }

  text(): string {
    const encoded = this.#take(this.u16())
    try {
      return decoder.decode(encoded)
    } catch {
      throw this.#refuse('a text is not UTF-8')
    }
  }

  end(): void {
    if (this.#at !== this.#bytes.length) throw this.#refuse('bytes follow its end')
  }

  #take(size: number): Uint8Array {
    const end = this.#at + size
    if (end > this.#bytes.length) throw this.#refuse('it is cut short')
    const at = this.#bytes.subarray(this.#at, end)
    this.#at = end
    return at
  }
}
