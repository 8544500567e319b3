import { randomBytes } from 'node:crypto'

/** Hashes key bytes `[from, to)` to an unsigned 32-bit number. */
export interface KeyHash {
  /** Whether the key that was hashed last is ASCII alone; false where that was not looked at. */
  readonly wasAscii: boolean
  of(bytes: Uint8Array, from: number, to: number): number
}

/**
 * HalfSipHash-1-3 (Aumasson and Bernstein) with a random key for each instance, so that nobody can
 * choose keys that collide. Multiplicative hashes have collisions for every seed.
 */
export class SipKeyHash implements KeyHash {
  wasAscii = false
  readonly #k0: number
  readonly #k1: number

  constructor(seed: Uint8Array = randomBytes(8)) {
    const words = new DataView(seed.buffer, seed.byteOffset, 8)
    this.#k0 = words.getInt32(0, true)
    this.#k1 = words.getInt32(4, true)
  }

  of(bytes: Uint8Array, from: number, to: number): number {
    let v0 = this.#k0
    let v1 = this.#k1
    let v2 = 0x6c79_6765 ^ v0
    let v3 = 0x7465_6462 ^ v1
    const length = to - from
    const lastWord = from + (length & ~3)
    let seen = 0
    let at = from
    for (; at < lastWord; at += 4) {
      const word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
      seen |= word
      v3 ^= word
      v0 = (v0 + v1) | 0
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0
      v0 = (v0 << 16) | (v0 >>> 16)
      v2 = (v2 + v3) | 0
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2
      v0 = (v0 + v3) | 0
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0
      v2 = (v2 + v1) | 0
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2
      v2 = (v2 << 16) | (v2 >>> 16)
      v0 ^= word
    }
    let last = 0
    for (let shift = 0; at < to; at++, shift += 8) last |= bytes[at]! << shift
    seen |= last
    last |= length << 24
    // One round with the last bytes, then the three of the end.
    for (let round = 0; round < 4; round++) {
      if (round === 1) v2 ^= 0xff
      v3 ^= last
      v0 = (v0 + v1) | 0
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0
      v0 = (v0 << 16) | (v0 >>> 16)
      v2 = (v2 + v3) | 0
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2
      v0 = (v0 + v3) | 0
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0
      v2 = (v2 + v1) | 0
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2
      v2 = (v2 << 16) | (v2 >>> 16)
      v0 ^= last
      last = 0
    }
    this.wasAscii = (seen & 0x8080_8080) === 0
    return (v1 ^ v3) >>> 0
  }
}
