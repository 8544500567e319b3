import { createHash } from 'node:crypto'
import { SnapshotError } from '@slip/kv-core'
import { utf8Bytes, utf8Length } from '@slip/kv-core/store-parts'

/** The longest key; what NATS lets through is far below. */
export const MAX_KEY_BYTES = 65_535

/** Keys up to this long are stored as they are. */
export const PLAIN_KEY_BYTES = 479

const DIGEST_BYTES = 32

/** How long the stored form of every longer key is: no plain key has this length. */
export const HASHED_KEY_BYTES: number = PLAIN_KEY_BYTES + DIGEST_BYTES

/** A key as LMDB holds it: plain as its text, or hashed as its bytes. */
export type StoredKey = string | Uint8Array

/**
 * LMDB's own limit is 1,978 bytes, and keys near it make a deep tree of nearly empty pages. So a long
 * key is stored as its first 479 bytes and the SHA-256 of all of it, and its record holds it whole.
 * The order of stored keys is that of the keys, except among long keys that share those 479 bytes.
 *
 * undefined for what no fold holds: the empty key, and one above the limit. `TypeError` for a key
 * without a UTF-8 form.
 */
export function storedKey(key: string): StoredKey | undefined {
  if (key.length === 0) return undefined
  if (key.length * 3 <= PLAIN_KEY_BYTES) return key
  const length = utf8Length(key)
  if (length <= PLAIN_KEY_BYTES) return key
  return length > MAX_KEY_BYTES ? undefined : hashedKey(utf8Bytes(key))
}

/** The stored form of a key of more than 479 bytes. */
export function hashedKey(key: Uint8Array): Uint8Array {
  const stored = new Uint8Array(HASHED_KEY_BYTES)
  stored.set(key.subarray(0, PLAIN_KEY_BYTES))
  stored.set(createHash('sha256').update(key).digest(), PLAIN_KEY_BYTES)
  return stored
}

/** Whether two hashed keys share the bytes that order them. */
export function sameGroup(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a.subarray(0, PLAIN_KEY_BYTES), b.subarray(0, PLAIN_KEY_BYTES)) === 0
}

/** How the native half writes and reads keys in its own buffers, which it does not check. */
export const keyEncoder = {
  writeKey(key: StoredKey, target: Buffer, start: number): number {
    if (typeof key !== 'string') {
      target.set(key, start)
      return start + key.length
    }
    // A string that does not fit would be cut without a word; the RangeError makes lmdb take a new buffer.
    if (start + key.length * 3 > target.length && start + Buffer.byteLength(key) > target.length)
      throw new RangeError('the key buffer is full')
    return start + target.write(key, start, 'utf8')
  },

  readKey(source: Buffer, start: number, end: number): StoredKey {
    return end - start === HASHED_KEY_BYTES
      ? Uint8Array.prototype.slice.call(source, start, end)
      : source.toString('utf8', start, end)
  },
}

export function keyOverLimit(key: string): SnapshotError {
  return new SnapshotError(
    'LimitExceeded',
    `key ${JSON.stringify(key.slice(0, 64))}… has ${utf8Length(key)} bytes: the limit is ${MAX_KEY_BYTES}`,
  )
}
