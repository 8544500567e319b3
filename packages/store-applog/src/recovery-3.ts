import { SnapshotError } from '@slip/kv-core'
import { crc32c } from './crc32c.ts'
import { FRAME_HEADER_BYTES, readFrameHeader, readPreamble, type FrameHeader } from './frame.ts'
import type { LogHeader } from './log-header.ts'
import type { FileWindow, Scan, ScanStep, ScanVerdict } from './scan.ts'

/** Small enough for a slice also while the code is not compiled yet. */
const CHECKSUM_STRETCH_BYTES = 64 * 1024
const SEARCH_STRETCH_BYTES = 1024 * 1024

/**
 * Reads the frames of a generation-3 file of `size` bytes from `start`, the position of a frame. A
 * bad frame is a torn tail only when it lies after the synced base and no valid frame of this file
 * follows it.
 */
export function* scanGeneration3(header: LogHeader, start: number, size: number): Scan {
  let at = start
  if (size < header.baseEnd) return damaged(yield* endOfFrames(header, at, size))
  while (at < size) {
    const frame = yield* validFrame(header, at, size)
    if (frame === undefined) return yield* judgeDamage(header, at, size)
    const end = at + FRAME_HEADER_BYTES + frame.payloadBytes
    const refused = yield* deliver(at, frame.payloadBytes, end <= header.baseEnd, end)
    if (refused !== undefined) return refused
    at = end
  }
  return { verdict: 'intact', at }
}

/** Where the first frame that is not whole begins. */
function* endOfFrames(
  header: LogHeader,
  start: number,
  size: number,
): Generator<ScanStep, number, FileWindow> {
  let at = start
  while (at < size) {
    const frame = yield* validFrame(header, at, size)
    if (frame === undefined) break
    at += FRAME_HEADER_BYTES + frame.payloadBytes
  }
  return at
}

/** The frame at `at` when header and payload are whole. */
function* validFrame(
  header: LogHeader,
  at: number,
  size: number,
): Generator<ScanStep, FrameHeader | undefined, FileWindow> {
  if (at + FRAME_HEADER_BYTES > size) return undefined
  const head = yield { kind: 'read', at, length: FRAME_HEADER_BYTES }
  const frame = readFrameHeader(head.bytes, at - head.offset, header.salt, at)
  if (frame === undefined || at + FRAME_HEADER_BYTES + frame.payloadBytes > size) return undefined
  const payloadAt = at + FRAME_HEADER_BYTES
  const end = payloadAt + frame.payloadBytes
  const window = yield { kind: 'read', at, length: end - at }
  let crc = 0
  for (let from = payloadAt; from < end; from += CHECKSUM_STRETCH_BYTES) {
    if (from > payloadAt) yield { kind: 'turn' }
    crc = crc32c(
      crc,
      window.bytes,
      from - window.offset,
      Math.min(end, from + CHECKSUM_STRETCH_BYTES) - window.offset,
    )
  }
  return crc === frame.payloadCrc ? frame : undefined
}

function* deliver(
  at: number,
  payloadBytes: number,
  inBase: boolean,
  end: number,
): Generator<ScanStep, ScanVerdict | undefined, FileWindow> {
  const window = yield { kind: 'read', at, length: FRAME_HEADER_BYTES + payloadBytes }
  const from = at + FRAME_HEADER_BYTES - window.offset
  const to = from + payloadBytes
  try {
    const { preamble, recordsAt } = readPreamble(window.bytes, from, to)
    if (preamble.continued && !inBase) return unreadable(at, 'a commit that is never finished')
    if (recordsAt < to)
      yield { kind: 'records', at, bytes: window.bytes, given: window.given, from: recordsAt, to }
    if (!preamble.continued) yield { kind: 'commit', cursor: preamble.cursor, lineage: preamble.lineage, end }
    else yield { kind: 'turn' }
    return undefined
  } catch (error) {
    if (SnapshotError.is(error) && error.code === 'InvalidFormat') return unreadable(at, error.message)
    throw error
  }
}

function* judgeDamage(header: LogHeader, at: number, size: number): Scan {
  if (at < header.baseEnd) return damaged(at)
  const later = yield* findFrame(header, at + 1, size)
  return later ? damaged(at) : { verdict: 'torn', at }
}

/** Whether a valid frame of this file begins at or after `from`. */
function* findFrame(header: LogHeader, from: number, size: number): Generator<ScanStep, boolean, FileWindow> {
  const salt = Buffer.from(header.salt)
  let at = from
  while (at + FRAME_HEADER_BYTES <= size) {
    const length = Math.min(SEARCH_STRETCH_BYTES, size - at)
    const window = yield { kind: 'read', at, length }
    const stretch = Buffer.from(window.bytes.buffer, window.bytes.byteOffset + at - window.offset, length)
    const found = stretch.indexOf(salt)
    if (found === -1) {
      // The salt may begin in the last bytes of this stretch.
      at += Math.max(1, length - salt.length + 1)
      continue
    }
    const candidate = at + found
    if ((yield* validFrame(header, candidate, size)) !== undefined) return true
    at = candidate + 1
    yield { kind: 'turn' }
  }
  return false
}

function damaged(at: number): ScanVerdict {
  return { verdict: 'corrupt', at, code: 'Corrupted', message: `the log is damaged at byte ${at}` }
}

function unreadable(at: number, message: string): ScanVerdict {
  return { verdict: 'corrupt', at, code: 'InvalidFormat', message: `${message}, at byte ${at}` }
}
