import { MAX_LINEAGE_BYTES, SnapshotError, Slices, type KvUpdate, type WatchCursor } from '@slip/kv-core'
import { crc32c } from './crc32c.ts'
import {
  FRAME_HEADER_BYTES,
  MAX_PAYLOAD_BYTES,
  preambleBytes,
  sealFrame,
  writePreamble,
  type Preamble,
} from './frame.ts'
import type { Generation } from './log-header.ts'
import { recordLengthOf, recordSize, writeRecord } from './record.ts'
import { MAX_VALUE_2_BYTES } from './record-2.ts'
import { mustFitGeneration2, RECORD_2_GROWTH_BYTES, writeCursor2, writeRecord2 } from './transcode-2.ts'

const KEPT_SCRATCH_BYTES = 8 * 1024 * 1024
const CURSOR_RECORD_BYTES = 26
const CHECKSUM_STRETCH_BYTES = 512 * 1024

/** The longest value of a generation; in generation 3 what a frame has room for beside key, cursor and lineage. */
export function maxValueBytes(generation: Generation): number {
  return generation === 2 ? MAX_VALUE_2_BYTES : MAX_PAYLOAD_BYTES - 256 * 1024
}

/** One apply, laid out. */
export interface EncodedCommit {
  /** What goes into the file. Valid until the next encoding. */
  readonly bytes: Uint8Array
  /** The records in the native layout: `native[nativeFrom, nativeTo)`. */
  readonly native: Uint8Array
  readonly nativeFrom: number
  readonly nativeTo: number
}

/** Lays out commits for one file. Its buffers are used again by the next call. */
export class CommitEncoder {
  readonly #generation: Generation
  readonly #salt: Uint8Array
  #native: Uint8Array = new Uint8Array(64 * 1024)
  #file: Uint8Array = new Uint8Array(0)

  /** `salt` is that of the file; generation 2 has none. */
  constructor(generation: Generation, salt: Uint8Array) {
    this.#generation = generation
    this.#salt = salt
  }

  /**
   * Lays out a batch for `position` in the file. SnapshotError `LimitExceeded` for what the file cannot
   * hold; `TypeError` for a key without a UTF-8 form.
   */
  async batch(
    updates: readonly KvUpdate[],
    cursor: WatchCursor,
    lineage: Uint8Array | undefined,
    position: number,
  ): Promise<EncodedCommit> {
    if (lineage !== undefined && lineage.length > MAX_LINEAGE_BYTES)
      throw new SnapshotError(
        'LimitExceeded',
        `a lineage of ${lineage.length} bytes: the limit is ${MAX_LINEAGE_BYTES}`,
      )
    const slices = new Slices('applog.apply')
    const preamble = {
      cursor: cursor.toBytes(),
      lineage: this.#generation === 3 ? lineage : undefined,
      continued: false,
    }
    const recordsAt = this.#reserve(preamble)
    let size = 0
    for (let i = 0; i < updates.length; i++) {
      size += this.#sizeOf(updates[i]!)
      if ((i & 255) === 255 && slices.due()) await slices.pause()
    }
    const end = this.#room(recordsAt, size)
    let at = recordsAt
    for (let i = 0; i < updates.length; i++) {
      at = writeRecord(this.#native, at, updates[i]!)
      if ((i & 255) === 255 && slices.due()) await slices.pause()
    }
    let crc = 0
    if (this.#generation === 3) {
      writePreamble(this.#native, FRAME_HEADER_BYTES, preamble)
      for (let from = FRAME_HEADER_BYTES; from < end; from += CHECKSUM_STRETCH_BYTES) {
        crc = crc32c(crc, this.#native, from, Math.min(end, from + CHECKSUM_STRETCH_BYTES))
        if (slices.due()) await slices.pause()
      }
    }
    const encoded = this.#finish(preamble, recordsAt, end, position, crc)
    slices.end()
    return encoded
  }

  #sizeOf(update: KvUpdate): number {
    const most = maxValueBytes(this.#generation)
    if (update.operation === 'put' && update.value.length > most)
      throw new SnapshotError(
        'LimitExceeded',
        `a value of ${update.value.length} bytes at key ${update.key}: generation ${this.#generation} holds at most ${most}`,
      )
    return recordSize(update)
  }

  /** The same for records that are laid out already: valid ones, end to end in `source[from, to)`. */
  records(source: Uint8Array, from: number, to: number, preamble: Preamble, position: number): EncodedCommit {
    const recordsAt = this.#reserve(preamble)
    const end = this.#room(recordsAt, to - from)
    this.#native.set(source.subarray(from, to), recordsAt)
    if (this.#generation === 2) mustFitGeneration2(this.#native, recordsAt, end)
    let crc = 0
    if (this.#generation === 3) {
      writePreamble(this.#native, FRAME_HEADER_BYTES, preamble)
      crc = crc32c(0, this.#native, FRAME_HEADER_BYTES, end)
    }
    return this.#finish(preamble, recordsAt, end, position, crc)
  }

  /** Where records begin, so that frame header and preamble fit before them. */
  #reserve(preamble: Preamble): number {
    return this.#generation === 3 ? FRAME_HEADER_BYTES + preambleBytes(preamble) : 0
  }

  #room(recordsAt: number, size: number): number {
    const end = recordsAt + size
    if (end - FRAME_HEADER_BYTES > MAX_PAYLOAD_BYTES)
      throw new SnapshotError(
        'LimitExceeded',
        `a batch of ${size} bytes: one commit holds at most ${MAX_PAYLOAD_BYTES}`,
      )
    this.#native = fitting(this.#native, end)
    return end
  }

  #finish(
    preamble: Preamble,
    recordsAt: number,
    end: number,
    position: number,
    payloadCrc: number,
  ): EncodedCommit {
    const located = { native: this.#native, nativeFrom: recordsAt, nativeTo: end }
    if (this.#generation === 2) return { ...located, bytes: this.#toGeneration2(preamble, end) }
    sealFrame(this.#native, 0, end, this.#salt, position, payloadCrc)
    return { ...located, bytes: this.#native.subarray(0, end) }
  }

  #toGeneration2(preamble: Preamble, end: number): Uint8Array {
    let records = 0
    for (let at = 0; at < end; at += recordLengthOf(this.#native, at)) records++
    this.#file = fitting(this.#file, end + records * RECORD_2_GROWTH_BYTES + CURSOR_RECORD_BYTES)
    let to = 0
    for (let at = 0; at < end; at += recordLengthOf(this.#native, at))
      to = writeRecord2(this.#file, to, this.#native, at)
    if (!preamble.continued) to = writeCursor2(this.#file, to, preamble.cursor)
    return this.#file.subarray(0, to)
  }
}

/** A buffer of at least `bytes`: the given one when it is large enough and not wastefully so. */
function fitting(buffer: Uint8Array, bytes: number): Uint8Array {
  if (bytes <= buffer.length && buffer.length <= Math.max(KEPT_SCRATCH_BYTES, bytes)) return buffer
  return new Uint8Array(
    bytes > KEPT_SCRATCH_BYTES ? bytes : Math.min(KEPT_SCRATCH_BYTES, Math.max(bytes, 2 * buffer.length)),
  )
}
