import { SnapshotError, Slices, type KvUpdate } from '@slip/kv-core'
import { utf8Bytes, utf8Length, writeUtf8 } from '@slip/kv-core/store-parts'
import { MAX_VALUE_BYTES, mostRecordBytes, writeRecord } from './fold-record.ts'
import { HASHED_KEY_BYTES, hashedKey, keyOverLimit, MAX_KEY_BYTES, PLAIN_KEY_BYTES } from './stored-key.ts'

const FIRST_BYTES = 64 * 1024
const HEADER_BYTES = 7
const NO_VALUE = new Uint8Array(0)

/** What a step of a laid-out batch does. */
export const PUT = 1
export const REMOVE = 2

/**
 * Lays a batch out for the writing thread, with nothing left to refuse there: each step is
 * `what:u8 | klen:u16 | rlen:u32 | stored key | record`, little-endian.
 *
 * SnapshotError `LimitExceeded`; `TypeError` for a key that is empty or has no UTF-8 form.
 */
export async function encodeBatch(updates: readonly KvUpdate[]): Promise<Uint8Array<ArrayBuffer>> {
  const slices = new Slices('lmdb.encode')
  let bytes = new Uint8Array(FIRST_BYTES)
  let end = 0
  for (const update of updates) {
    const needed = HEADER_BYTES + sizeOf(update)
    if (end + needed > bytes.length) {
      const larger = new Uint8Array(Math.max(2 * bytes.length, end + needed))
      larger.set(bytes.subarray(0, end))
      bytes = larger
    }
    end = writeStep(bytes, end, update)
    if (slices.due()) await slices.pause()
  }
  slices.end()
  return bytes.subarray(0, end)
}

/** Calls `step` for each step of a laid-out batch. */
export function eachStep(
  bytes: Uint8Array,
  step: (what: number, key: Uint8Array, record: Uint8Array) => void,
): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  for (let at = 0; at < bytes.length;) {
    const what = bytes[at]!
    const keyEnd = at + HEADER_BYTES + view.getUint16(at + 1, true)
    const recordEnd = keyEnd + view.getUint32(at + 3, true)
    step(what, bytes.subarray(at + HEADER_BYTES, keyEnd), bytes.subarray(keyEnd, recordEnd))
    at = recordEnd
  }
}

function sizeOf(update: KvUpdate): number {
  const { key } = update
  const keyBytes = utf8Length(key)
  if (keyBytes === 0) throw new TypeError('a key has at least one byte')
  if (keyBytes > MAX_KEY_BYTES) throw keyOverLimit(key)
  const value = update.operation === 'put' ? update.value.length : 0
  if (value > MAX_VALUE_BYTES)
    throw new SnapshotError(
      'LimitExceeded',
      `the value of ${JSON.stringify(key)} has ${value} bytes: the limit is ${MAX_VALUE_BYTES}`,
    )
  return keyBytes > PLAIN_KEY_BYTES
    ? HASHED_KEY_BYTES + mostRecordBytes(keyBytes, value)
    : keyBytes + mostRecordBytes(0, value)
}

function writeStep(bytes: Uint8Array, at: number, update: KvUpdate): number {
  const { key, version } = update
  const keyFrom = at + HEADER_BYTES
  const keyBytes = utf8Length(key)
  const hashed = keyBytes > PLAIN_KEY_BYTES
  let keyTo: number
  if (hashed) {
    const stored = hashedKey(utf8Bytes(key))
    bytes.set(stored, keyFrom)
    keyTo = keyFrom + stored.length
  } else keyTo = keyFrom + writeUtf8(key, bytes, keyFrom)
  const put = update.operation === 'put' ? update : undefined
  const end = writeRecord(bytes, keyFrom, keyTo, {
    version,
    expiresAtMs: put?.expiresAtMs,
    longKey: hashed ? key : undefined,
    value: put?.value ?? NO_VALUE,
  })
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  bytes[at] = put === undefined ? REMOVE : PUT
  view.setUint16(at + 1, keyTo - keyFrom, true)
  view.setUint32(at + 3, end - keyTo, true)
  return end
}
