import { prefixEnd } from '../keys.ts'
import type { RangeOptions } from '../store.ts'
import { compareBytes, utf8Bytes } from './key-bytes.ts'

/** Keys from `from` on and below `to`; no `to` is no bound. */
export interface KeyRange {
  readonly from: Uint8Array
  readonly to: Uint8Array | undefined
}

/** The half-open byte range that a prefix and its options mean. */
export function keyRange(prefix: string, options: RangeOptions): KeyRange {
  const prefixBytes = utf8Bytes(prefix)
  let from = prefixBytes
  let to = prefixEnd(prefixBytes)
  if (options.gte !== undefined) from = later(from, utf8Bytes(options.gte))
  if (options.gt !== undefined) from = later(from, successor(options.gt))
  if (options.lt !== undefined) to = earlier(to, utf8Bytes(options.lt))
  if (options.lte !== undefined) to = earlier(to, successor(options.lte))
  return { from, to }
}

/** `limit` of the options; without one there is none. `RangeError` unless it is a whole number from 0. */
export function rangeLimit(options: RangeOptions): number {
  const limit = options.limit ?? Number.POSITIVE_INFINITY
  if (!(limit >= 0) || (limit !== Number.POSITIVE_INFINITY && !Number.isInteger(limit)))
    throw new RangeError(`limit ${limit} is not a whole number`)
  return limit
}

/** The smallest byte string above `key`. */
function successor(key: string): Uint8Array {
  const bytes = utf8Bytes(key)
  const after = new Uint8Array(bytes.length + 1)
  after.set(bytes)
  return after
}

function later(a: Uint8Array, b: Uint8Array): Uint8Array {
  return compareBytes(a, 0, a.length, b, 0, b.length) < 0 ? b : a
}

function earlier(a: Uint8Array | undefined, b: Uint8Array): Uint8Array {
  return a !== undefined && compareBytes(a, 0, a.length, b, 0, b.length) < 0 ? a : b
}
