import { asciiPrefix } from '@slip/kv-core/store-parts'
import type { LmdbKey } from './lmdb-js.js'
import { HASHED_KEY_BYTES, type StoredKey } from './stored-key.ts'

/** A stored key as text with one character a byte: `<` orders such texts as LMDB orders the keys. */
export type KeyText = string

export function keyText(stored: LmdbKey): KeyText {
  if (typeof stored !== 'string')
    return Buffer.from(stored.buffer, stored.byteOffset, stored.length).toString('latin1')
  return asciiPrefix(stored) === stored.length ? stored : Buffer.from(stored).toString('latin1')
}

export function storedOf(text: KeyText): StoredKey {
  if (text.length === HASHED_KEY_BYTES) return new Uint8Array(Buffer.from(text, 'latin1'))
  return asciiPrefix(text) === text.length ? text : Buffer.from(text, 'latin1').toString('utf8')
}

/** How the native half writes and reads the keys of a database that is used by text. */
export const textKeyEncoder = {
  writeKey(text: KeyText, target: Buffer, start: number): number {
    // A text that does not fit would be cut without a word; the RangeError makes lmdb take a new buffer.
    if (start + text.length > target.length) throw new RangeError('the key buffer is full')
    return start + target.write(text, start, 'latin1')
  },

  readKey(source: Buffer, start: number, end: number): KeyText {
    return source.toString('latin1', start, end)
  },
}
