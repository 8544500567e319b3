import { randomFillSync } from 'node:crypto'
import { SnapshotError } from '@slip/kv-core'
import { crc32c } from './crc32c.ts'

/** Which layout a log has: 2 is shared with the Rust system, 3 is ours. */
export type Generation = 2 | 3

/** Bytes of a generation-2 header: `PGSS`, then u16 2. It has no checksum. */
export const GENERATION_2_HEADER: Uint8Array = Uint8Array.of(0x50, 0x47, 0x53, 0x53, 2, 0)

/** `SLPLOG`, carriage return, line feed; then u16 3 and the header's length, u16 32. */
const GENERATION_3_START = Uint8Array.of(0x53, 0x4c, 0x50, 0x4c, 0x4f, 0x47, 0x0d, 0x0a, 3, 0, 32, 0)
const MAGIC_BYTES = 8
const SALT_AT = 12
const BASE_END_AT = 20
const CRC_AT = 28

export const HEADER_3_BYTES = 32
export const SALT_BYTES = 8

/** What a generation-3 file says about itself. */
export interface LogHeader {
  /** Random, different in every file: a frame of another file never passes for one of this file. */
  readonly salt: Uint8Array
  /**
   * The file was synced up to here before it got its name, so nothing before it can be an unfinished
   * write. Just the header's length in a log that began empty.
   */
  readonly baseEnd: number
}

export function newSalt(): Uint8Array {
  return randomFillSync(new Uint8Array(SALT_BYTES))
}

export function encodeHeader(header: LogHeader): Uint8Array {
  const bytes = new Uint8Array(HEADER_3_BYTES)
  bytes.set(GENERATION_3_START)
  bytes.set(header.salt, SALT_AT)
  const view = new DataView(bytes.buffer)
  view.setBigUint64(BASE_END_AT, BigInt(header.baseEnd), true)
  view.setUint32(CRC_AT, crc32c(0, bytes, 0, CRC_AT), true)
  return bytes
}

/** What the first bytes of a file are, given that there are at least as many as its header needs. */
export type FileKind =
  | { readonly kind: 'empty'; readonly generation: Generation | undefined }
  | { readonly kind: 'generation2' }
  | { readonly kind: 'generation3'; readonly header: LogHeader }

/**
 * Judges the start of a file: `start` holds its first 32 bytes, or all of it when it is shorter. Zeros and
 * nothing else are an empty log.
 * SnapshotError with `at` 0: `InvalidFormat` when it is not ours, `Corrupted` when our header is
 * damaged.
 */
export function identify(start: Uint8Array, size: number): FileKind {
  if (isBlank(start, size)) return { kind: 'empty', generation: undefined }
  if (startsLike(start, GENERATION_2_HEADER))
    return size < GENERATION_2_HEADER.length ? { kind: 'empty', generation: 2 } : { kind: 'generation2' }
  if (size < HEADER_3_BYTES) {
    if (startsLike(start, GENERATION_3_START)) return { kind: 'empty', generation: 3 }
    throw foreign('the file is too short for a log and not the beginning of one')
  }
  return { kind: 'generation3', header: decodeHeader(start) }
}

function decodeHeader(start: Uint8Array): LogHeader {
  if (!startsLike(start.subarray(0, MAGIC_BYTES), GENERATION_3_START)) throw foreign('not a log: bad magic')
  const view = new DataView(start.buffer, start.byteOffset, HEADER_3_BYTES)
  // Every generation from 3 on keeps this checksum at this place, so damage is told from a newer layout.
  if (view.getUint32(CRC_AT, true) !== crc32c(0, start, 0, CRC_AT))
    throw new SnapshotError('Corrupted', 'the header of the log is damaged', { at: 0 })
  const baseEnd = Number(view.getBigUint64(BASE_END_AT, true))
  if (!startsLike(start, GENERATION_3_START) || baseEnd < HEADER_3_BYTES)
    throw foreign(`a log of generation ${view.getUint16(MAGIC_BYTES, true)} cannot be read`)
  return { salt: start.slice(SALT_AT, SALT_AT + SALT_BYTES), baseEnd }
}

/** No bytes, or only zeros where a loss of power took the header before it was synced: nothing is written after it until then. */
function isBlank(start: Uint8Array, size: number): boolean {
  return size <= HEADER_3_BYTES && start.every((byte) => byte === 0)
}

function startsLike(start: Uint8Array, wanted: Uint8Array): boolean {
  const length = Math.min(start.length, wanted.length)
  for (let at = 0; at < length; at++) if (start[at] !== wanted[at]) return false
  return true
}

function foreign(message: string): SnapshotError {
  return new SnapshotError('InvalidFormat', message, { at: 0 })
}
