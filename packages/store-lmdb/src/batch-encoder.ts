import { SnapshotError, Slices, type KvUpdate } from '@slip/kv-core'
import { utf8Bytes, utf8Length, writeUtf8 } from '@slip/kv-core/store-parts'
import {
  isLarge,
  MAX_VALUE_BYTES,
  mostRecordBytes,
  writeLargeRecord,
  writeRecord,
  type FoldRecord,
} from './fold-record.ts'
import { HASHED_KEY_BYTES, hashedKey, keyOverLimit, MAX_KEY_BYTES, PLAIN_KEY_BYTES } from './stored-key.ts'

const FIRST_BYTES = 64 * 1024
/** A batch mostly needs what the one before it did; beyond this it is an exception. */
const MOST_LIKELY_BYTES = 8 * 1024 * 1024
const HEADER_BYTES = 7
const NO_VALUE = new Uint8Array(0)

let likelyBytes = FIRST_BYTES

/** What a step of a laid-out batch does. */
export const PUT = 1
export const REMOVE = 2

/**
 * Lays a batch out for the writing thread, with nothing left to refuse there: each step is
 * `what:u8 | klen:u16 | rlen:u32 | stored key | record`, little-endian.
 *
 * `seal` is the fold's; `spare` is memory to lay it out in where it is enough.
 * SnapshotError `LimitExceeded`; `TypeError` for a key that is empty or has no UTF-8 form.
 */
export async function encodeBatch(
  updates: readonly KvUpdate[],
  seal: number,
  spare?: ArrayBuffer,
): Promise<Uint8Array<ArrayBuffer>> {
  const slices = new Slices('lmdb.encode')
  const likely = spare === undefined || spare.byteLength > MOST_LIKELY_BYTES ? undefined : spare
  let bytes = new Uint8Array(likely ?? new ArrayBuffer(likelyBytes))
  let end = 0
  for (const [i, update] of updates.entries()) {
    if (end + HEADER_BYTES + sizeOf(update) > bytes.length) {
      // Once, so that little is copied.
      const larger = new Uint8Array(end + (await mostBytesFrom(i, updates, slices)))
      larger.set(bytes.subarray(0, end))
      bytes = larger
    }
    const { keyFrom, keyTo, record } = laidOut(bytes, end, update)
    const to = isLarge(record.value)
      ? await writeLargeRecord(bytes, keyFrom, keyTo, record, seal, slices)
      : writeRecord(bytes, keyFrom, keyTo, record, seal)
    writeHeader(bytes, end, update.operation === 'put' ? PUT : REMOVE, keyTo - keyFrom, to - keyTo)
    end = to
    if (slices.due()) await slices.pause()
  }
  slices.end()
  likelyBytes = Math.min(Math.max(FIRST_BYTES, end + (end >> 5)), MOST_LIKELY_BYTES)
  return bytes.subarray(0, end)
}

/** Where the parts of a step are in its batch: what it does, its key, and its record up to `to`. */
export interface Step {
  readonly what: number
  readonly at: number
  readonly keyFrom: number
  /** Where the record begins. */
  readonly keyTo: number
  readonly to: number
}

/** Of a batch that was laid out here, or that `isBatch` holds of. */
export function stepAt(bytes: Uint8Array, at: number): Step {
  const keyFrom = at + HEADER_BYTES
  const keyTo = keyFrom + (bytes[at + 1]! | (bytes[at + 2]! << 8))
  const recordBytes = bytes[at + 3]! | (bytes[at + 4]! << 8) | (bytes[at + 5]! << 16) | (bytes[at + 6]! << 24)
  // Of 2 GiB and more too: a step that ended before it began would be gone through for ever.
  return { what: bytes[at]!, at, keyFrom, keyTo, to: keyTo + (recordBytes >>> 0) }
}

/** Whether bytes that were read can be a laid-out batch: whole steps, one behind the other to the end. */
export function isBatch(bytes: Uint8Array): boolean {
  let at = 0
  while (at < bytes.length) {
    const { what, keyFrom, keyTo, to } = stepAt(bytes, at)
    if ((what !== PUT && what !== REMOVE) || keyTo === keyFrom || to > bytes.length) return false
    at = to
  }
  return true
}

/** Calls `visit` for each step of a laid-out batch. */
export function eachStep(bytes: Uint8Array, visit: (step: Step) => void): void {
  for (let at = 0; at < bytes.length;) {
    const step = stepAt(bytes, at)
    visit(step)
    at = step.to
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

/** At most how many bytes the steps of the updates from this one on take. */
async function mostBytesFrom(first: number, updates: readonly KvUpdate[], slices: Slices): Promise<number> {
  let bytes = 0
  for (let i = first; i < updates.length; i++) {
    bytes += HEADER_BYTES + sizeOf(updates[i]!)
    if (slices.due()) await slices.pause()
  }
  return bytes
}

/** Writes the stored key of a step; where it is, and the record that comes behind it. */
function laidOut(
  bytes: Uint8Array,
  at: number,
  update: KvUpdate,
): { readonly keyFrom: number; readonly keyTo: number; readonly record: FoldRecord } {
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
  const record = {
    version,
    expiresAtMs: put?.expiresAtMs,
    longKey: hashed ? key : undefined,
    value: put?.value ?? NO_VALUE,
  }
  return { keyFrom, keyTo, record }
}

function writeHeader(
  bytes: Uint8Array,
  at: number,
  what: number,
  keyLength: number,
  recordLength: number,
): void {
  bytes[at] = what
  bytes[at + 1] = keyLength
  bytes[at + 2] = keyLength >>> 8
  bytes[at + 3] = recordLength
  bytes[at + 4] = recordLength >>> 8
  bytes[at + 5] = recordLength >>> 16
  bytes[at + 6] = recordLength >>> 24
}
