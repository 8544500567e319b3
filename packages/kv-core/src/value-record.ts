import { SnapshotError } from './errors.ts'
import { MAX_TOKEN_BYTES, VersionToken } from './token.ts'

/** A value with its version, as one record of an on-disk store. */
export interface ValueRecord {
  readonly version: VersionToken
  /** A view of the decoded bytes. */
  readonly value: Uint8Array
}

/** Layout generation 1: the version's length in one byte, the version, then the value. */
export function encodeValueRecord(record: ValueRecord): Uint8Array {
  const version = record.version.toBytes()
  const bytes = new Uint8Array(1 + version.length + record.value.length)
  bytes[0] = version.length
  bytes.set(version, 1)
  bytes.set(record.value, 1 + version.length)
  return bytes
}

/** SnapshotError `InvalidFormat` for an empty or short record, or a version above 10 bytes. */
export function decodeValueRecord(bytes: Uint8Array): ValueRecord {
  const length = bytes[0]
  if (length === undefined) throw refused('it is empty')
  if (length > MAX_TOKEN_BYTES) throw refused(`its version has ${length} bytes`)
  if (bytes.length < 1 + length) throw refused('it ends inside its version')
  return { version: VersionToken.fromBytes(bytes.subarray(1, 1 + length)), value: bytes.subarray(1 + length) }
}

function refused(what: string): SnapshotError {
  return new SnapshotError('InvalidFormat', `a value record cannot be read: ${what}`)
}
