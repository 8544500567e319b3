import { MAX_LINEAGE_BYTES, SnapshotError, WatchCursor } from '@slip/kv-core'
import { crc32c } from './crc32c.ts'
import { SALT_BYTES } from './log-header.ts'

/** salt, payload length u32, payload CRC-32C, header CRC-32C. */
export const FRAME_HEADER_BYTES: number = SALT_BYTES + 12
/** The most one frame may hold, and so one apply. */
export const MAX_PAYLOAD_BYTES: number = 1024 * 1024 * 1024

const LENGTH_AT = SALT_BYTES
const PAYLOAD_CRC_AT = SALT_BYTES + 4
const HEADER_CRC_AT = SALT_BYTES + 8

const FLAG_LINEAGE = 1
const FLAG_CONTINUED = 2

export interface FrameHeader {
  readonly payloadBytes: number
  readonly payloadCrc: number
}

/** What a payload holds before its records. */
export interface Preamble {
  /** Raw cursor bytes. */
  readonly cursor: Uint8Array
  readonly lineage: Uint8Array | undefined
  /** The commit ends in a later frame: only inside the base that compaction wrote. */
  readonly continued: boolean
}

/** Bytes the preamble takes, the lineage's and the cursor's length fields included. */
export function preambleBytes(preamble: Preamble): number {
  return 2 + preamble.cursor.length + (preamble.lineage === undefined ? 0 : 2 + preamble.lineage.length)
}

/** Writes the preamble at `at`; returns where the records begin. */
export function writePreamble(bytes: Uint8Array, at: number, preamble: Preamble): number {
  bytes[at++] =
    (preamble.lineage === undefined ? 0 : FLAG_LINEAGE) | (preamble.continued ? FLAG_CONTINUED : 0)
  bytes[at++] = preamble.cursor.length
  bytes.set(preamble.cursor, at)
  at += preamble.cursor.length
  if (preamble.lineage === undefined) return at
  bytes[at++] = preamble.lineage.length & 255
  bytes[at++] = preamble.lineage.length >>> 8
  bytes.set(preamble.lineage, at)
  return at + preamble.lineage.length
}

/**
 * Reads the preamble of the payload `bytes[from, to)`, whose checksum held. SnapshotError
 * `InvalidFormat` when it cannot be read.
 */
export function readPreamble(
  bytes: Uint8Array,
  from: number,
  to: number,
): { readonly preamble: Preamble; readonly recordsAt: number } {
  if (to - from < 2) throw unreadable()
  const flags = bytes[from]!
  if ((flags & ~(FLAG_LINEAGE | FLAG_CONTINUED)) !== 0) throw unreadable()
  let at = from + 2
  const cursorEnd = at + bytes[from + 1]!
  if (cursorEnd > to) throw unreadable()
  const cursor = bytes.slice(at, cursorEnd)
  WatchCursor.fromBytes(cursor)
  at = cursorEnd
  let lineage: Uint8Array | undefined
  if ((flags & FLAG_LINEAGE) !== 0) {
    if (at + 2 > to) throw unreadable()
    const length = bytes[at]! | (bytes[at + 1]! << 8)
    at += 2
    if (length > MAX_LINEAGE_BYTES || at + length > to) throw unreadable()
    lineage = bytes.slice(at, at + length)
    at += length
  }
  return { preamble: { cursor, lineage, continued: (flags & FLAG_CONTINUED) !== 0 }, recordsAt: at }
}

function unreadable(): SnapshotError {
  return new SnapshotError('InvalidFormat', 'a frame that cannot be read')
}

/**
 * Fills in the header before the payload `bytes[from + FRAME_HEADER_BYTES, to)`, whose CRC-32C is
 * `payloadCrc`. `position` is the frame's place in the file: a copy of it elsewhere is not a frame.
 */
export function sealFrame(
  bytes: Uint8Array,
  from: number,
  to: number,
  salt: Uint8Array,
  position: number,
  payloadCrc: number,
): void {
  const payloadAt = from + FRAME_HEADER_BYTES
  bytes.set(salt, from)
  const view = new DataView(bytes.buffer, bytes.byteOffset + from, FRAME_HEADER_BYTES)
  view.setUint32(LENGTH_AT, to - payloadAt, true)
  view.setUint32(PAYLOAD_CRC_AT, payloadCrc, true)
  view.setUint32(HEADER_CRC_AT, headerCrc(bytes, from, position), true)
}

/** The frame header at `from`, which lies at `position` in the file; undefined when it is none of this file. */
export function readFrameHeader(
  bytes: Uint8Array,
  from: number,
  salt: Uint8Array,
  position: number,
): FrameHeader | undefined {
  for (let at = 0; at < SALT_BYTES; at++) if (bytes[from + at] !== salt[at]) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset + from, FRAME_HEADER_BYTES)
  if (view.getUint32(HEADER_CRC_AT, true) !== headerCrc(bytes, from, position)) return undefined
  const payloadBytes = view.getUint32(LENGTH_AT, true)
  return payloadBytes > MAX_PAYLOAD_BYTES
    ? undefined
    : { payloadBytes, payloadCrc: view.getUint32(PAYLOAD_CRC_AT, true) }
}

const positionBytes = new Uint8Array(8)
const positionView = new DataView(positionBytes.buffer)

function headerCrc(bytes: Uint8Array, from: number, position: number): number {
  positionView.setUint32(0, position % 0x1_0000_0000, true)
  positionView.setUint32(4, Math.floor(position / 0x1_0000_0000), true)
  return crc32c(crc32c(0, positionBytes, 0, 8), bytes, from, from + HEADER_CRC_AT)
}
