import { crc32 } from 'node:zlib'
import { isUtf8 } from 'node:buffer'
import { SnapshotError, VersionToken, type KvEntry, type KvUpdate } from '@slip/kv-core'
import type { ByteWindow } from '../byte-window.ts'

/** `end` closes a payload: `entries` live keys and `deleted` names came before it. */
export type RecordKind = 'live' | 'deleted' | 'end'

/** A record as it was read: views of its bytes. */
export interface RawRecord {
  readonly kind: RecordKind
  /** All of it. */
  readonly bytes: Buffer
  readonly key: Buffer
}

const END = 0
const LIVE = 1
const DELETED = 2
const EXPIRING = 3
const HEAD_BYTES = 12
const EXPIRY_BYTES = 8
const END_BYTES = HEAD_BYTES + 16
const MOST_KEY_BYTES = 65_535
const MOST_VALUE_BYTES = 64 * 1024 * 1024
const MOST_VERSION_BYTES = 10
const NO_BYTES = Buffer.alloc(0)

/** SnapshotError `LimitExceeded` for a key above 65,535 bytes or a value above 64 MiB. */
export function encodeRecord(
  entry: KvEntry | { readonly key: string; readonly version: VersionToken },
): Buffer {
  const { key, version } = entry
  const value = 'value' in entry ? entry.value : undefined
  const expiresAtMs = 'value' in entry ? entry.expiresAtMs : undefined
  const keyBytes = Buffer.byteLength(key)
  const valueBytes = value?.length ?? 0
  if (keyBytes > MOST_KEY_BYTES)
    throw new SnapshotError(
      'LimitExceeded',
      `a key of ${keyBytes} bytes: an artifact holds ${MOST_KEY_BYTES}`,
    )
  if (valueBytes > MOST_VALUE_BYTES)
    throw new SnapshotError(
      'LimitExceeded',
      `a value of ${valueBytes} bytes at key ${key}: an artifact holds ${MOST_VALUE_BYTES}`,
    )
  const token = version.toBytes()
  const keyAt = HEAD_BYTES + (expiresAtMs === undefined ? 0 : EXPIRY_BYTES)
  const record = Buffer.allocUnsafe(keyAt + keyBytes + token.length + valueBytes)
  record[4] = value === undefined ? DELETED : expiresAtMs === undefined ? LIVE : EXPIRING
  record[5] = token.length
  record.writeUInt16LE(keyBytes, 6)
  record.writeUInt32LE(valueBytes, 8)
  if (expiresAtMs !== undefined) record.writeDoubleLE(expiresAtMs, HEAD_BYTES)
  record.write(key, keyAt)
  record.set(token, keyAt + keyBytes)
  if (value !== undefined) record.set(value, keyAt + keyBytes + token.length)
  return sealed(record)
}

export function encodeEnd(counts: { readonly entries: number; readonly deleted: number }): Buffer {
  const record = Buffer.alloc(END_BYTES)
  record.writeBigUInt64LE(BigInt(counts.entries), HEAD_BYTES)
  record.writeBigUInt64LE(BigInt(counts.deleted), HEAD_BYTES + 8)
  return sealed(record)
}

/** What an `end` says. */
export function countsOf({ bytes }: RawRecord): { readonly entries: bigint; readonly deleted: bigint } {
  return { entries: bytes.readBigUInt64LE(HEAD_BYTES), deleted: bytes.readBigUInt64LE(HEAD_BYTES + 8) }
}

function sealed(record: Buffer): Buffer {
  record.writeUInt32LE(crc32(record.subarray(4)))
  return record
}

/**
 * The next record, when all of it is held, and goes past it: valid until more is held. undefined when
 * more has to come first. SnapshotError `InvalidFormat`, `Corrupted`.
 */
export function nextRecord(window: ByteWindow): RawRecord | undefined {
  const { bytes } = window
  if (bytes.length < HEAD_BYTES) return undefined
  const length = lengthOf(bytes, window)
  if (bytes.length < length) return undefined
  const record = bytes.subarray(0, length)
  if (crc32(record.subarray(4)) !== record.readUInt32LE())
    throw window.wrong('Corrupted', 'a record fails its checksum')
  window.skip(length)
  const type = record[4]!
  if (type === END) return { kind: 'end', bytes: record, key: NO_BYTES }
  const keyAt = HEAD_BYTES + (type === EXPIRING ? EXPIRY_BYTES : 0)
  return {
    kind: type === DELETED ? 'deleted' : 'live',
    bytes: record,
    key: record.subarray(keyAt, keyAt + record.readUInt16LE(6)),
  }
}

/** How many bytes have to be held for the next record, as far as those that are held tell. */
export function neededBytes(window: ByteWindow): number {
  return window.held < HEAD_BYTES ? HEAD_BYTES : lengthOf(window.bytes, window)
}

function lengthOf(bytes: Buffer, window: ByteWindow): number {
  const type = bytes[4]!
  if (type === END) return END_BYTES
  if (type > EXPIRING) throw window.wrong('InvalidFormat', `a record of unknown type ${type}`)
  const valueBytes = bytes.readUInt32LE(8)
  if (bytes[5]! > MOST_VERSION_BYTES) throw window.wrong('InvalidFormat', `a version of ${bytes[5]!} bytes`)
  if (valueBytes > (type === DELETED ? 0 : MOST_VALUE_BYTES))
    throw window.wrong('InvalidFormat', `a value of ${valueBytes} bytes`)
  return HEAD_BYTES + (type === EXPIRING ? EXPIRY_BYTES : 0) + bytes.readUInt16LE(6) + bytes[5]! + valueBytes
}

/** As the update that makes it. SnapshotError `InvalidFormat` for a key that is not UTF-8. */
export function updateOf({ bytes, key: keyBytes }: RawRecord, window: ByteWindow): KvUpdate {
  if (!isUtf8(keyBytes)) throw window.wrong('InvalidFormat', 'a key that is not UTF-8')
  const key = keyBytes.toString()
  const type = bytes[4]!
  const versionAt = HEAD_BYTES + (type === EXPIRING ? EXPIRY_BYTES : 0) + keyBytes.length
  const valueAt = versionAt + bytes[5]!
  const version = VersionToken.fromBytes(bytes.subarray(versionAt, valueAt))
  if (type === DELETED) return { operation: 'delete', key, version }
  const value = new Uint8Array(bytes.subarray(valueAt))
  return type === EXPIRING
    ? { operation: 'put', key, value, version, expiresAtMs: bytes.readDoubleLE(HEAD_BYTES) }
    : { operation: 'put', key, value, version }
}
