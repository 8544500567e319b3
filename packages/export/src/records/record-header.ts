import { MAX_LINEAGE_BYTES, WatchCursor } from '@slip/kv-core'
import type { ByteWindow } from '../byte-window.ts'

const MAGIC = Buffer.from('SLPREC\r\n')
const VERSION = 1
/** Magic, version, length of the cursor, length of the lineage. */
const FIXED_BYTES = 13
const MOST_CURSOR_BYTES = 20

/** The longest header. */
export const MOST_HEADER_BYTES: number = FIXED_BYTES + MOST_CURSOR_BYTES + MAX_LINEAGE_BYTES

export interface RecordHeader {
  readonly cursor: WatchCursor
  readonly lineage: Uint8Array | undefined
}

export function encodeHeader({ cursor, lineage }: RecordHeader): Buffer {
  const token = cursor.toBytes()
  const fixed = Buffer.alloc(FIXED_BYTES)
  MAGIC.copy(fixed)
  fixed.writeUInt16LE(VERSION, 8)
  fixed[10] = token.length
  fixed.writeUInt16LE(lineage?.length ?? 0, 11)
  return Buffer.concat([fixed, token, lineage ?? new Uint8Array()])
}

/** The bytes of a header, checked, and goes past them. SnapshotError `InvalidFormat`, `Corrupted`. */
export async function takeHeader(window: ByteWindow): Promise<Buffer> {
  if (!(await window.fill(FIXED_BYTES))) throw window.wrong('Corrupted', 'it is cut short')
  const { bytes } = window
  if (Buffer.compare(bytes.subarray(0, MAGIC.length), MAGIC) !== 0)
    throw window.wrong('InvalidFormat', 'it does not begin as records do')
  const version = bytes.readUInt16LE(8)
  if (version !== VERSION) throw window.wrong('InvalidFormat', `records of version ${version}`)
  const [cursorBytes, lineageBytes] = [bytes[10]!, bytes.readUInt16LE(11)]
  if (cursorBytes > MOST_CURSOR_BYTES || lineageBytes > MAX_LINEAGE_BYTES)
    throw window.wrong('InvalidFormat', 'a cursor or a lineage that is too long')
  return window.take(FIXED_BYTES + cursorBytes + lineageBytes)
}

/** What checked bytes of a header say. SnapshotError `InvalidFormat` for a cursor that is none. */
export function decodeHeader(bytes: Buffer): RecordHeader {
  const cursorTo = FIXED_BYTES + bytes[10]!
  return {
    cursor: WatchCursor.fromBytes(new Uint8Array(bytes.subarray(FIXED_BYTES, cursorTo))),
    lineage: cursorTo === bytes.length ? undefined : new Uint8Array(bytes.subarray(cursorTo)),
  }
}
