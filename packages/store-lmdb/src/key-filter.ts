import type { KeyText } from './key-text.ts'

/** Keys of the first block table; each further one has twice as many. */
const FIRST_KEYS = 2 ** 20
/** A block is a cache line: a question costs one. */
const WORDS_A_BLOCK = 16
const BITS_A_KEY = 12
const PROBES = 6

/**
 * Says of most keys that were never added that they were not (a blocked Bloom filter, Putze, Sanders and
 * Singler 2007). It grows by tables of twice the size: 12 to 24 bits a key, and about one wrong "maybe" in a hundred.
 */
export class KeyFilter {
  readonly #tables: { readonly words: Uint32Array; readonly room: number; keys: number }[] = []

  add(text: KeyText): void {
    let table = this.#tables.at(-1)
    if (table === undefined || table.keys === table.room) {
      const room = FIRST_KEYS * 2 ** this.#tables.length
      table = { words: new Uint32Array((room * BITS_A_KEY) / 32), room, keys: 0 }
      this.#tables.push(table)
    }
    table.keys++
    const { words } = table
    const { block, bits } = placeOf(text, words.length)
    for (let i = 0, rest = bits; i < PROBES; i++, rest = next(rest))
      words[block + (rest >>> 28)]! |= 1 << ((rest >>> 23) & 31)
  }

  /** False is certain. */
  mayHold(text: KeyText): boolean {
    return this.#tables.some(({ words }) => {
      const { block, bits } = placeOf(text, words.length)
      for (let i = 0, rest = bits; i < PROBES; i++, rest = next(rest))
        if ((words[block + (rest >>> 28)]! & (1 << ((rest >>> 23) & 31))) === 0) return false
      return true
    })
  }
}

/** Two hashes of the characters: one chooses the block, the other the bits in it. */
function placeOf(text: KeyText, words: number): { readonly block: number; readonly bits: number } {
  let a = 0x811c_9dc5
  let b = 0x9747_b28c
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    a = Math.imul(a ^ unit, 0x0100_0193)
    b = Math.imul(b ^ unit, 0x85eb_ca6b)
    b ^= b >>> 15
  }
  a = Math.imul(a ^ (a >>> 16), 0x7feb_352d)
  a = (a ^ (a >>> 15)) >>> 0
  const blocks = words / WORDS_A_BLOCK
  return { block: Math.floor((a / 2 ** 32) * blocks) * WORDS_A_BLOCK, bits: Math.imul(b, 0xc2b2_ae35) }
}

function next(bits: number): number {
  return (Math.imul(bits, 0x9e37_79b1) + 0x7f4a_7c15) | 0
}
