import { SnapshotError, type KvUpdate } from '@slip/kv-core'
import { asciiPrefix, isUtf8, utf8Length, writeUtf8 } from '@slip/kv-core/store-parts'

/** A live key. */
export const RECORD_PUT = 1
/** A key whose last update was a removal; its name and version are kept, it has no value. */
export const RECORD_REMOVAL = 2
/** A live key that the server drops at `expiresAtMs`. */
export const RECORD_PUT_EXPIRING = 3

/** Bytes of a segment in memory that are no record: never in a file, and nothing points at them. */
export const RECORD_FILLER = 0

/** `type:u8 | verlen:u8 | klen:u16 | vlen:u32`, little-endian. */
export const RECORD_HEADER_BYTES = 8
/** `expiresAtMs:f64`, little-endian, between header and key of a `RECORD_PUT_EXPIRING`. */
export const RECORD_EXPIRY_BYTES = 8
const MAX_VERSION_BYTES = 10

export const MAX_RECORD_KEY_BYTES = 65_535
/** A whole record stays below 2^31 bytes, whatever its key, version and expiry. */
export const MAX_RECORD_VALUE_BYTES: number =
  2 ** 31 - 1 - RECORD_HEADER_BYTES - RECORD_EXPIRY_BYTES - MAX_RECORD_KEY_BYTES - MAX_VERSION_BYTES

/** Why bytes are not a record; what `recordLength` gives in place of a length. */
export const RecordFault = {
  /** The bytes end before the record does. */
  truncated: -1,
  unknownType: -2,
  /** A version above 10 bytes. */
  version: -3,
  /** A key that is not UTF-8. */
  key: -4,
  /** A removal with a value, or a value above the limit. */
  value: -5,
  /** A time of expiry that is not a finite number. */
  expiry: -6,
} as const
export type RecordFault = (typeof RecordFault)[keyof typeof RecordFault]

const float = new Float64Array(1)
const floatBytes = new Uint8Array(float.buffer)
const LITTLE_ENDIAN = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1

/**
 * Bytes that `writeRecord` needs for `update`. SnapshotError `LimitExceeded` for a key above 65,535
 * bytes or a value above `MAX_RECORD_VALUE_BYTES`; `TypeError` for a key with a lone surrogate, which
 * has no UTF-8 form.
 */
export function recordSize(update: KvUpdate): number {
  const { key } = update
  const keyBytes = asciiPrefix(key) === key.length ? key.length : utf8Length(key)
  if (keyBytes > MAX_RECORD_KEY_BYTES)
    throw new SnapshotError(
      'LimitExceeded',
      `a key of ${keyBytes} bytes: the limit is ${MAX_RECORD_KEY_BYTES}`,
    )
  let size = RECORD_HEADER_BYTES + keyBytes + update.version.byteLength
  if (update.operation !== 'put') return size
  const valueBytes = update.value.length
  if (valueBytes > MAX_RECORD_VALUE_BYTES)
    throw new SnapshotError(
      'LimitExceeded',
      `a value of ${valueBytes} bytes at key ${key}: the limit is ${MAX_RECORD_VALUE_BYTES}`,
    )
  if (update.expiresAtMs !== undefined) size += RECORD_EXPIRY_BYTES
  return size + valueBytes
}

/** Writes `update` at `at`, where `recordSize(update)` bytes are free; returns the offset behind it. */
export function writeRecord(target: Uint8Array, at: number, update: KvUpdate): number {
  const put = update.operation === 'put'
  const expiresAtMs = put ? update.expiresAtMs : undefined
  const valueBytes = put ? update.value.length : 0
  target[at] = put ? (expiresAtMs === undefined ? RECORD_PUT : RECORD_PUT_EXPIRING) : RECORD_REMOVAL
  target[at + 1] = update.version.byteLength
  writeValueBytes(target, at, valueBytes)
  let end = at + RECORD_HEADER_BYTES
  if (expiresAtMs !== undefined) {
    writeFloat(target, end, expiresAtMs)
    end += RECORD_EXPIRY_BYTES
  }
  const keyBytes = writeUtf8(update.key, target, end)
  target[at + 2] = keyBytes & 0xff
  target[at + 3] = keyBytes >>> 8
  end += keyBytes
  end = update.version.writeTo(target, end)
  if (put) target.set(update.value, end)
  return end + valueBytes
}

/** Makes `target[from, to)`, at least a record header, one stretch that is no record. */
export function writeFiller(target: Uint8Array, from: number, to: number): void {
  target.fill(0, from, from + RECORD_HEADER_BYTES)
  writeValueBytes(target, from, to - from - RECORD_HEADER_BYTES)
}

/** The whole length of the record at `at`, which must be a valid one: nothing is checked. */
export function recordLengthOf(bytes: Uint8Array, at: number): number {
  return (
    RECORD_HEADER_BYTES +
    (bytes[at] === RECORD_PUT_EXPIRING ? RECORD_EXPIRY_BYTES : 0) +
    bytes[at + 1]! +
    (bytes[at + 2]! | (bytes[at + 3]! << 8)) +
    recordValueBytes(bytes, at)
  )
}

/** Checks the record at `at` against everything before `end`: its whole length, or a (negative) `RecordFault`. */
export function recordLength(bytes: Uint8Array, at: number, end: number): number {
  const length = recordShape(bytes, at, end)
  return length < 0 || recordKeyIsUtf8(bytes, at) ? length : RecordFault.key
}

/** `recordLength` without a look at the key. */
export function recordShape(bytes: Uint8Array, at: number, end: number): number {
  if (at + RECORD_HEADER_BYTES > end) return RecordFault.truncated
  const type = bytes[at]!
  if (type < RECORD_PUT || type > RECORD_PUT_EXPIRING) return RecordFault.unknownType
  if (bytes[at + 1]! > MAX_VERSION_BYTES) return RecordFault.version
  const valueBytes = recordValueBytes(bytes, at)
  if (valueBytes > MAX_RECORD_VALUE_BYTES || (type === RECORD_REMOVAL && valueBytes > 0))
    return RecordFault.value
  const length = recordLengthOf(bytes, at)
  if (at + length > end) return RecordFault.truncated
  if (type === RECORD_PUT_EXPIRING && !Number.isFinite(readFloat(bytes, at + RECORD_HEADER_BYTES)))
    return RecordFault.expiry
  return length
}

export function recordKeyIsUtf8(bytes: Uint8Array, at: number): boolean {
  const keyAt = recordKeyAt(bytes, at)
  return isUtf8(bytes, keyAt, keyAt + recordKeyBytes(bytes, at))
}

/** Whether the record at `at` is a live key. */
export function recordIsPut(bytes: Uint8Array, at: number): boolean {
  return bytes[at] !== RECORD_REMOVAL
}

/** Offset of the key in the record at `at`. */
export function recordKeyAt(bytes: Uint8Array, at: number): number {
  return (
    at + (bytes[at] === RECORD_PUT_EXPIRING ? RECORD_HEADER_BYTES + RECORD_EXPIRY_BYTES : RECORD_HEADER_BYTES)
  )
}

export function recordKeyBytes(bytes: Uint8Array, at: number): number {
  return bytes[at + 2]! | (bytes[at + 3]! << 8)
}

export function recordVersionBytes(bytes: Uint8Array, at: number): number {
  return bytes[at + 1]!
}

export function recordValueBytes(bytes: Uint8Array, at: number): number {
  return (bytes[at + 4]! | (bytes[at + 5]! << 8) | (bytes[at + 6]! << 16) | (bytes[at + 7]! << 24)) >>> 0
}

/** Unix milliseconds; undefined unless the record has them. */
export function recordExpiresAtMs(bytes: Uint8Array, at: number): number | undefined {
  return bytes[at] === RECORD_PUT_EXPIRING ? readFloat(bytes, at + RECORD_HEADER_BYTES) : undefined
}

function writeValueBytes(target: Uint8Array, at: number, valueBytes: number): void {
  target[at + 4] = valueBytes & 0xff
  target[at + 5] = (valueBytes >>> 8) & 0xff
  target[at + 6] = (valueBytes >>> 16) & 0xff
  target[at + 7] = valueBytes >>> 24
}

function writeFloat(target: Uint8Array, at: number, value: number): void {
  float[0] = value
  for (let i = 0; i < 8; i++) target[at + i] = floatBytes[LITTLE_ENDIAN ? i : 7 - i]!
}

function readFloat(bytes: Uint8Array, at: number): number {
  for (let i = 0; i < 8; i++) floatBytes[LITTLE_ENDIAN ? i : 7 - i] = bytes[at + i]!
  return float[0]!
}
