import { bytesToHex, hexToBytes } from './hex.ts'

/** The longest version any engine gives: a 10-byte versionstamp. */
export const MAX_TOKEN_BYTES = 10

const MAX_U64 = 0xffff_ffff_ffff_ffffn

/**
 * The opaque form of a version: 0 to 10 raw bytes.
 *
 * No bytes mean *unknown*. Eight bytes are a revision, big-endian. Other lengths belong to other
 * engines and have no numeric form; they are never shortened or padded.
 */
export class VersionToken {
  static readonly unknown: VersionToken = new VersionToken(new Uint8Array(0))

  readonly #bytes: Uint8Array

  private constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  /** The 8-byte form of a revision; `RangeError` outside 0 to 2^64-1. */
  static fromRevision(revision: bigint): VersionToken {
    if (revision < 0n || revision > MAX_U64) throw new RangeError(`revision ${revision} does not fit 64 bits`)
    const bytes = new Uint8Array(8)
    new DataView(bytes.buffer).setBigUint64(0, revision)
    return new VersionToken(bytes)
  }

  /** A copy of `bytes`; `RangeError` above 10 bytes. */
  static fromBytes(bytes: Uint8Array): VersionToken {
    if (bytes.length > MAX_TOKEN_BYTES)
      throw new RangeError(`a version token has at most ${MAX_TOKEN_BYTES} bytes, not ${bytes.length}`)
    return bytes.length === 0
      ? VersionToken.unknown
      : new VersionToken(Uint8Array.prototype.slice.call(bytes))
  }

  /** Lower-case or upper-case hex, two digits a byte; `RangeError` for anything else. */
  static fromHex(hex: string): VersionToken {
    return VersionToken.fromBytes(hexToBytes(hex))
  }

  /** The revision; undefined unless the token has exactly 8 bytes. */
  get revision(): bigint | undefined {
    const bytes = this.#bytes
    if (bytes.length !== 8) return undefined
    return new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0)
  }

  get byteLength(): number {
    return this.#bytes.length
  }

  get isUnknown(): boolean {
    return this.#bytes.length === 0
  }

  /** A copy. */
  toBytes(): Uint8Array {
    return this.#bytes.slice()
  }

  toHex(): string {
    return bytesToHex(this.#bytes)
  }

  /** Same length and same bytes. */
  equals(other: VersionToken): boolean {
    const a = this.#bytes
    const b = other.toBytes()
    return a.length === b.length && a.every((byte, i) => byte === b[i])
  }

  toJSON(): string {
    return this.toHex()
  }
}
