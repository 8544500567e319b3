import { SnapshotError, VersionToken, type KvEntry, type Slices } from '@slip/kv-core'
import { portableCrc32c, utf8Length, writeUtf8 } from '@slip/kv-core/store-parts'
import { copyValue } from './value-copy.ts'
import { HASHED_KEY_BYTES, type StoredKey } from './stored-key.ts'

/** The longest value. */
export const MAX_VALUE_BYTES: number = 64 * 1024 * 1024

const MAX_VERSION_BYTES = 10
const CHECKSUM_BYTES = 4
const VERSION_AT = CHECKSUM_BYTES + 1
const EXPIRY_BYTES = 8
/** In the byte of the version's length. */
const EXPIRES = 0x80
/** Of a value, copied and checksummed: a millisecond, about. */
const STRETCH_BYTES = 512 * 1024

/**
 * One record of layout generation 2, little-endian:
 *
 * `crc:u32 | verlen:u8 | version | [expires:f64] | [klen:u16 | key] | value`
 *
 * The upper bit of `verlen` says that there is an expiry, in Unix milliseconds. The key is there only
 * where the stored key is a hash. The checksum, CRC-32C, is over the fold's id, the
 * stored key and everything behind the checksum, so that a record under another key, or of another fold, is
 * damage too.
 */
export interface FoldRecord {
  readonly version: VersionToken
  readonly expiresAtMs: number | undefined
  /** The whole key, where the stored one is a hash. */
  readonly longKey: string | undefined
  readonly value: Uint8Array
}

/** What the checksum of each record of a fold begins with. */
export function sealOf({ foldId }: { readonly foldId: Uint8Array }): number {
  return portableCrc32c(0, foldId, 0, foldId.length)
}

/** The most bytes a record of a key and a value of these lengths takes. */
export function mostRecordBytes(keyBytes: number, valueBytes: number): number {
  return VERSION_AT + MAX_VERSION_BYTES + EXPIRY_BYTES + 2 + keyBytes + valueBytes
}

/** Writes a record behind its stored key, which is `target[keyFrom, at)`; returns the offset behind it. */
export function writeRecord(
  target: Uint8Array,
  keyFrom: number,
  at: number,
  record: FoldRecord,
  seal: number,
): number {
  const valueAt = writeHead(target, at, record)
  target.set(record.value, valueAt)
  const end = valueAt + record.value.length
  const crc = portableCrc32c(seal, target, keyFrom, at)
  writeChecksum(target, at, portableCrc32c(crc, target, at + CHECKSUM_BYTES, end))
  return end
}

/** Whether a value takes longer than the event loop should be held. */
export function isLarge({ length }: Uint8Array): boolean {
  return length > STRETCH_BYTES
}

/** As `writeRecord`, for a large value. */
export async function writeLargeRecord(
  target: Uint8Array,
  keyFrom: number,
  at: number,
  record: FoldRecord,
  seal: number,
  slices: Slices,
): Promise<number> {
  const { value } = record
  const valueAt = writeHead(target, at, record)
  let crc = portableCrc32c(seal, target, keyFrom, at)
  crc = portableCrc32c(crc, target, at + CHECKSUM_BYTES, valueAt)
  const end = valueAt + value.length
  for (let from = valueAt; from < end; from += STRETCH_BYTES) {
    if (slices.due()) await slices.pause()
    const to = Math.min(from + STRETCH_BYTES, end)
    target.set(value.subarray(from - valueAt, to - valueAt), from)
    // Of the copy: it is what is stored.
    crc = portableCrc32c(crc, target, from, to)
  }
  writeChecksum(target, at, crc)
  return end
}

/** All but the checksum and the value; returns where the value begins. */
function writeHead(target: Uint8Array, at: number, record: FoldRecord): number {
  const { version, expiresAtMs } = record
  target[at + CHECKSUM_BYTES] = version.byteLength | (expiresAtMs === undefined ? 0 : EXPIRES)
  let end = version.writeTo(target, at + VERSION_AT)
  if (expiresAtMs !== undefined) {
    new DataView(target.buffer, target.byteOffset + end).setFloat64(0, expiresAtMs, true)
    end += EXPIRY_BYTES
  }
  if (record.longKey !== undefined) {
    const length = utf8Length(record.longKey)
    target[end] = length & 255
    target[end + 1] = length >>> 8
    writeUtf8(record.longKey, target, end + 2)
    end += 2 + length
  }
  return end
}

function writeChecksum(target: Uint8Array, at: number, crc: number): void {
  target[at] = crc
  target[at + 1] = crc >>> 8
  target[at + 2] = crc >>> 16
  target[at + 3] = crc >>> 24
}

/** Where the parts of a record are. */
export interface RecordParts {
  readonly version: VersionToken
  readonly expiresAtMs: number | undefined
  /** Of a hashed key. */
  readonly longKey: string | undefined
  readonly valueAt: number
}

/** Takes `bytes[0, length)` apart. SnapshotError `Corrupted` for what cannot be a record. */
export function readRecord(bytes: Uint8Array, length: number, stored: StoredKey): RecordParts {
  if (length < VERSION_AT) throw damaged('is too short', stored)
  const head = bytes[CHECKSUM_BYTES]!
  const versionBytes = head & ~EXPIRES
  let at = VERSION_AT + versionBytes
  if (versionBytes > MAX_VERSION_BYTES || at > length) throw damaged('has no version', stored)
  const version = VersionToken.readFrom(bytes, VERSION_AT, versionBytes)
  let expiresAtMs: number | undefined
  if ((head & EXPIRES) !== 0) {
    if (at + EXPIRY_BYTES > length) throw damaged('ends inside its expiry', stored)
    expiresAtMs = new DataView(bytes.buffer, bytes.byteOffset + at).getFloat64(0, true)
    at += EXPIRY_BYTES
  }
  if (typeof stored === 'string') return { version, expiresAtMs, longKey: undefined, valueAt: at }
  if (at + 2 > length) throw damaged('has no key', stored)
  const keyBytes = bytes[at]! | (bytes[at + 1]! << 8)
  at += 2
  if (at + keyBytes > length) throw damaged('ends inside its key', stored)
  const longKey = Buffer.from(bytes.buffer, bytes.byteOffset + at, keyBytes).toString('utf8')
  return { version, expiresAtMs, longKey, valueAt: at + keyBytes }
}

/** An entry with a value of its own. */
export function readEntry(bytes: Uint8Array, length: number, stored: StoredKey): KvEntry {
  const { version, expiresAtMs, longKey, valueAt } = readRecord(bytes, length, stored)
  const value = copyValue(bytes, valueAt, length)
  const key = longKey ?? (stored as string)
  return expiresAtMs === undefined ? { key, value, version } : { key, value, version, expiresAtMs }
}

/** Whether the checksum of the record `bytes[0, length)` under this stored key holds in the fold of this seal. */
export function recordIsIntact(
  bytes: Uint8Array,
  length: number,
  storedKey: Uint8Array,
  seal: number,
): boolean {
  if (length < VERSION_AT) return false
  const stated = (bytes[0]! | (bytes[1]! << 8) | (bytes[2]! << 16) | (bytes[3]! << 24)) >>> 0
  const crc = portableCrc32c(seal, storedKey, 0, storedKey.length)
  return portableCrc32c(crc, bytes, CHECKSUM_BYTES, length) === stated
}

function damaged(what: string, stored: StoredKey): SnapshotError {
  const name =
    typeof stored === 'string' ? JSON.stringify(stored) : `a key of ${HASHED_KEY_BYTES} bytes or more`
  return new SnapshotError('Corrupted', `the record of ${name} ${what}`)
}
