import { prefixEnd, type RangeOptions } from '@slip/kv-core'
import { compareBytes, keyRange, utf8Bytes } from '@slip/kv-core/store-parts'
import { PLAIN_KEY_BYTES } from './stored-key.ts'

/** Where a scan of stored keys begins and ends. */
export interface StoredRange {
  /** Included. */
  readonly from: Uint8Array
  /** Not included; no `to` is no bound. */
  readonly to: Uint8Array | undefined
  /** Whether a key that was found is meant: bounds above 479 bytes do not show in stored keys. */
  readonly includes: ((key: string) => boolean) | undefined
}

/** The library has no empty key: the lowest is this. */
const LOWEST = Uint8Array.of(0)

/** The range of stored keys for a prefix and its options; undefined when it is empty. */
export function storedRange(prefix: string, options: RangeOptions): StoredRange | undefined {
  const { from, to } = keyRange(prefix, options)
  if (to !== undefined && compareBytes(from, 0, from.length, to, 0, to.length) >= 0) return undefined
  const exact = from.length <= PLAIN_KEY_BYTES && (to === undefined || to.length <= PLAIN_KEY_BYTES)
  return {
    from: from.length === 0 ? LOWEST : from.subarray(0, PLAIN_KEY_BYTES),
    to: to === undefined || to.length <= PLAIN_KEY_BYTES ? to : prefixEnd(to.subarray(0, PLAIN_KEY_BYTES)),
    includes: exact ? undefined : (key) => isBetween(utf8Bytes(key), from, to),
  }
}

function isBetween(key: Uint8Array, from: Uint8Array, to: Uint8Array | undefined): boolean {
  if (compareBytes(key, 0, key.length, from, 0, from.length) < 0) return false
  return to === undefined || compareBytes(key, 0, key.length, to, 0, to.length) < 0
}
