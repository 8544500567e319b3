import { bytesToHex, hexToBytes } from './hex.ts'

/** The longest version any engine gives: a 10-byte versionstamp. */
export const MAX_TOKEN_BYTES = 10

const MAX_U64 = 0xffff_ffff_ffff_ffffn

const scratch = new DataView(new ArrayBuffer(8))

/**
 * The opaque form of a version: 0 to 10 raw bytes.
 *
 * No bytes mean *unknown*. Eight bytes are a revision, big-endian. Other lengths belong to other
 * engines and have no numeric form; they are never shortened or padded.
 */
export class VersionToken {
  static readonly unknown: VersionToken = new VersionToken(0, 0, 0, 0)

  /** The bytes in order, four in each of the first two numbers and two in the third, as 32-bit integers: a token is no more than one small object. */
  readonly #first: number
  readonly #second: number
  readonly #third: number
  readonly #length: number

  private constructor(first: number, second: number, third: number, length: number) {
    this.#first = first
    this.#second = second
    this.#third = third
    this.#length = length
  }

  /** The 8-byte form of a revision; `RangeError` outside 0 to 2^64-1. */
  static fromRevision(revision: bigint): VersionToken {
    if (revision < 0n || revision > MAX_U64) throw new RangeError(`revision ${revision} does not fit 64 bits`)
    scratch.setBigUint64(0, revision)
    return new VersionToken(scratch.getInt32(0), scratch.getInt32(4), 0, 8)
  }

  /** A copy of `bytes`; `RangeError` above 10 bytes. */
  static fromBytes(bytes: Uint8Array): VersionToken {
    return VersionToken.readFrom(bytes, 0, bytes.length)
  }

  /** A copy of the `length` bytes at `at`; `RangeError` above 10, or where `bytes` ends before. */
  static readFrom(bytes: Uint8Array, at: number, length: number): VersionToken {
    if (length > MAX_TOKEN_BYTES)
      throw new RangeError(`a version token has at most ${MAX_TOKEN_BYTES} bytes, not ${length}`)
    if (at + length > bytes.length) throw new RangeError('the bytes end before the version token does')
    if (length === 0) return VersionToken.unknown
    const first = readWord(bytes, at, length)
    const second = length > 4 ? readWord(bytes, at + 4, length - 4) : 0
    const third = length > 8 ? readWord(bytes, at + 8, length - 8) : 0
    return new VersionToken(first, second, third, length)
  }

  /** Lower-case or upper-case hex, two digits a byte; `RangeError` for anything else. */
  static fromHex(hex: string): VersionToken {
    return VersionToken.fromBytes(hexToBytes(hex))
  }

  /** The revision; undefined unless the token has exactly 8 bytes. */
  get revision(): bigint | undefined {
    if (this.#length !== 8) return undefined
    scratch.setInt32(0, this.#first)
    scratch.setInt32(4, this.#second)
    return scratch.getBigUint64(0)
  }

  get byteLength(): number {
    return this.#length
  }

  get isUnknown(): boolean {
    return this.#length === 0
  }

  /** A copy. */
  toBytes(): Uint8Array {
    const bytes = new Uint8Array(this.#length)
    this.writeTo(bytes, 0)
    return bytes
  }

  /** Writes the bytes at `at`, where `byteLength` are free; returns the offset behind them. */
  writeTo(target: Uint8Array, at: number): number {
    const length = this.#length
    for (let i = 0; i < length; i++) {
      const word = i < 4 ? this.#first : i < 8 ? this.#second : this.#third
      target[at + i] = word >>> (24 - 8 * (i & 3))
    }
    return at + length
  }

  toHex(): string {
    return bytesToHex(this.toBytes())
  }

  /** Same length and same bytes. */
  equals(other: VersionToken): boolean {
    return (
      this.#length === other.#length &&
      this.#first === other.#first &&
      this.#second === other.#second &&
      this.#third === other.#third
    )
  }

  toJSON(): string {
    return this.toHex()
  }
}

/** Up to four bytes as the upper ones of a 32-bit integer. */
function readWord(bytes: Uint8Array, at: number, length: number): number {
  let word = 0
  for (let i = 0; i < 4; i++) word = (word << 8) | (i < length ? bytes[at + i]! : 0)
  return word
}
