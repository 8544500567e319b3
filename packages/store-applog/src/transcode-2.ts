import { SnapshotError } from '@slip/kv-core'
import { crc32 } from './crc32.ts'
import {
  RECORD_2_CURSOR,
  RECORD_2_DELETE,
  RECORD_2_PUT,
  MAX_VALUE_2_BYTES,
  type Record2Parser,
} from './record-2.ts'
import {
  RECORD_HEADER_BYTES,
  RECORD_PUT,
  RECORD_REMOVAL,
  recordIsPut,
  recordKeyAt,
  recordKeyBytes,
  recordLengthOf,
  recordValueBytes,
  recordVersionBytes,
} from './record.ts'

/** The most a generation-2 record is longer than the same record in the native layout. */
export const RECORD_2_GROWTH_BYTES = 4

/** Bytes the parsed put or delete takes in the native layout. */
export function nativeLength(parsed: Record2Parser): number {
  const valueBytes = parsed.type === RECORD_2_PUT ? parsed.valueTo - parsed.valueFrom : 0
  return RECORD_HEADER_BYTES + parsed.keyTo - parsed.keyFrom + parsed.tokenTo - parsed.tokenFrom + valueBytes
}

/** Writes the parsed put or delete in the native layout at `at`; returns the offset behind it. */
export function writeNative(
  target: Uint8Array,
  at: number,
  source: Uint8Array,
  parsed: Record2Parser,
): number {
  const put = parsed.type === RECORD_2_PUT
  const keyBytes = parsed.keyTo - parsed.keyFrom
  const valueBytes = put ? parsed.valueTo - parsed.valueFrom : 0
  target[at] = put ? RECORD_PUT : RECORD_REMOVAL
  target[at + 1] = parsed.tokenTo - parsed.tokenFrom
  target[at + 2] = keyBytes & 255
  target[at + 3] = keyBytes >>> 8
  writeU32(target, at + 4, valueBytes)
  let end = at + RECORD_HEADER_BYTES
  target.set(source.subarray(parsed.keyFrom, parsed.keyTo), end)
  end += keyBytes
  target.set(source.subarray(parsed.tokenFrom, parsed.tokenTo), end)
  end += parsed.tokenTo - parsed.tokenFrom
  if (put) target.set(source.subarray(parsed.valueFrom, parsed.valueTo), end)
  return end + valueBytes
}

/**
 * Writes the native record at `from` as a generation-2 put or delete at `at`; returns the offset behind
 * it. A time of expiry is left out: generation 2 cannot say it.
 */
export function writeRecord2(target: Uint8Array, at: number, source: Uint8Array, from: number): number {
  const put = recordIsPut(source, from)
  const keyAt = recordKeyAt(source, from)
  const keyBytes = recordKeyBytes(source, from)
  const versionAt = keyAt + keyBytes
  const versionBytes = recordVersionBytes(source, from)
  target[at + 4] = put ? RECORD_2_PUT : RECORD_2_DELETE
  target[at + 5] = keyBytes & 255
  target[at + 6] = keyBytes >>> 8
  target.set(source.subarray(keyAt, versionAt), at + 7)
  let end = at + 7 + keyBytes
  if (put) {
    const valueBytes = recordValueBytes(source, from)
    const valueAt = versionAt + versionBytes
    writeU32(target, end, valueBytes)
    target.set(source.subarray(valueAt, valueAt + valueBytes), end + 4)
    end += 4 + valueBytes
  }
  target[end] = versionBytes
  target.set(source.subarray(versionAt, versionAt + versionBytes), end + 1)
  end += 1 + versionBytes
  writeU32(target, at, crc32(target, at + 4, end))
  return end
}

/** Writes a generation-2 cursor record at `at`; returns the offset behind it. */
export function writeCursor2(target: Uint8Array, at: number, cursor: Uint8Array): number {
  target[at + 4] = RECORD_2_CURSOR
  target[at + 5] = cursor.length
  target.set(cursor, at + 6)
  const end = at + 6 + cursor.length
  writeU32(target, at, crc32(target, at + 4, end))
  return end
}

/** SnapshotError `LimitExceeded` when a native record in `source[from, to)` has a value generation 2 cannot hold. */
export function mustFitGeneration2(source: Uint8Array, from: number, to: number): void {
  for (let at = from; at < to; at += recordLengthOf(source, at)) {
    const valueBytes = recordValueBytes(source, at)
    if (valueBytes > MAX_VALUE_2_BYTES)
      throw new SnapshotError(
        'LimitExceeded',
        `a value of ${valueBytes} bytes: generation 2 holds at most ${MAX_VALUE_2_BYTES}`,
      )
  }
}

function writeU32(target: Uint8Array, at: number, value: number): void {
  target[at] = value & 255
  target[at + 1] = (value >>> 8) & 255
  target[at + 2] = (value >>> 16) & 255
  target[at + 3] = value >>> 24
}
