import { markAsUntransferable } from 'node:worker_threads'
import { VersionToken, type KvEntry } from '@slip/kv-core'
import {
  recordExpiresAtMs,
  recordIsPut,
  recordKeyAt,
  recordKeyBytes,
  recordValueBytes,
  recordVersionBytes,
} from '../record.ts'
import type { IdScan } from './id-scan.ts'
import type { RecordSource } from './record-table.ts'

/** How many keys are decoded with one call; also how much text a kept key can hold on to. */
export const BLOCK = 32
const SLAB_BYTES = 16 * 1024
/** Larger values get memory of their own, so that a kept value holds on to 16 KiB at most. */
const MOST_SLAB_VALUE_BYTES = 2048
const MOST_BLOCK_KEY_BYTES = 128
const LOOP_BYTES = 32

let slab = newSlab()
let slabUsed = 0

const keyText = Buffer.alloc(BLOCK * MOST_BLOCK_KEY_BYTES)

/** The version of the record at `at`. */
export function readVersion(bytes: Uint8Array, at: number): VersionToken {
  return VersionToken.readFrom(
    bytes,
    recordKeyAt(bytes, at) + recordKeyBytes(bytes, at),
    recordVersionBytes(bytes, at),
  )
}

/** The key of the record at `at`. */
export function readKey(bytes: Buffer, at: number): string {
  const from = recordKeyAt(bytes, at)
  return bytes.toString('utf8', from, from + recordKeyBytes(bytes, at))
}

/**
 * The entry of the put record at `at`. The value is a copy: small ones share a slab of 16 KiB, which
 * cannot be transferred to another thread.
 */
export function readEntry(bytes: Buffer, at: number, key: string): KvEntry {
  const valueAt = recordKeyAt(bytes, at) + recordKeyBytes(bytes, at) + recordVersionBytes(bytes, at)
  const value = copyValue(bytes, valueAt, recordValueBytes(bytes, at))
  const version = readVersion(bytes, at)
  const expiresAtMs = recordExpiresAtMs(bytes, at)
  return expiresAtMs === undefined ? { key, value, version } : { key, value, version, expiresAtMs }
}

/** What a listing gives of each record. */
export type ReadRecord<T> = (bytes: Buffer, at: number, key: string) => T

/** Adds the next records of `scan` to `out`, at most `most` (up to 32), puts or removals; false at the end. */
export function readBlock<T>(
  scan: IdScan,
  source: RecordSource,
  puts: boolean,
  most: number,
  read: ReadRecord<T>,
  out: T[],
): boolean {
  const records: Buffer[] = []
  const places: number[] = []
  const keyEnds: number[] = []
  let textBytes = 0
  let more = true
  while (records.length < most) {
    const id = scan.next()
    if (id === -1) {
      more = false
      break
    }
    if (!source.locate(id) || recordIsPut(source.bytes, source.at) !== puts) continue
    records.push(source.bytes)
    places.push(source.at)
    const written = copyAsciiKey(source.bytes, source.at, textBytes)
    textBytes += written < 0 ? 0 : written
    keyEnds.push(written < 0 ? -1 : textBytes)
  }
  const text = keyText.toString('latin1', 0, textBytes)
  let from = 0
  for (let i = 0; i < records.length; i++) {
    const end = keyEnds[i]!
    const key = end < 0 ? readKey(records[i]!, places[i]!) : text.slice(from, end)
    if (end >= 0) from = end
    out.push(read(records[i]!, places[i]!, key))
  }
  return more
}

/** Appends a short ASCII key to the text of the block; its length, or -1 for any other key. */
function copyAsciiKey(bytes: Uint8Array, at: number, textBytes: number): number {
  const length = recordKeyBytes(bytes, at)
  if (length > MOST_BLOCK_KEY_BYTES) return -1
  const from = recordKeyAt(bytes, at)
  for (let i = 0; i < length; i++) {
    const byte = bytes[from + i]!
    if (byte >= 0x80) return -1
    keyText[textBytes + i] = byte
  }
  return length
}

function copyValue(bytes: Uint8Array, from: number, length: number): Uint8Array {
  if (length > MOST_SLAB_VALUE_BYTES) {
    const value = new Uint8Array(length)
    value.set(bytes.subarray(from, from + length))
    return value
  }
  if (slabUsed + length > SLAB_BYTES) {
    slab = newSlab()
    slabUsed = 0
  }
  const at = slabUsed
  slabUsed = (slabUsed + length + 7) & ~7
  if (length > LOOP_BYTES) slab.set(bytes.subarray(from, from + length), at)
  else for (let i = 0; i < length; i++) slab[at + i] = bytes[from + i]!
  return new Uint8Array(slab.buffer, at, length)
}

function newSlab(): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(new ArrayBuffer(SLAB_BYTES))
  markAsUntransferable(bytes.buffer)
  return bytes
}
