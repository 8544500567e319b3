import { MAX_LINEAGE_BYTES, SnapshotError, WatchCursor } from '@slip/kv-core'
import { portableCrc32c } from '@slip/kv-core/store-parts'

/** Layout generation this package writes; a newer one is refused. */
export const GENERATION = 2

/** Keys of the `meta` database. */
export const STATE_KEY = 'state'
export const LINEAGE_KEY = 'lineage'

export const FOLD_ID_BYTES = 16
const FIXED_BYTES = 4 + 2 + FOLD_ID_BYTES + 8 * 4 + 1

/** What each commit writes besides entries. */
export interface FoldState {
  readonly cursor: WatchCursor
  /** Which fold this is; the same in the directory's CURRENT file. */
  readonly foldId: Uint8Array
  /** Raised by every writer that opens the fold: one with an older number has lost it. */
  readonly epoch: bigint
  /** Counts commits. */
  readonly commit: bigint
  readonly entries: number
  readonly deletedKeys: number
}

/** `crc:u32 | generation:u16 | fold id:16 | epoch:u64 | commit:u64 | entries:u64 | deleted:u64 | clen:u8 | cursor` */
export function encodeState(state: FoldState): Uint8Array {
  const cursor = state.cursor.toBytes()
  const bytes = new Uint8Array(FIXED_BYTES + cursor.length)
  const view = new DataView(bytes.buffer)
  view.setUint16(4, GENERATION, true)
  bytes.set(state.foldId, 6)
  view.setBigUint64(22, state.epoch, true)
  view.setBigUint64(30, state.commit, true)
  view.setBigUint64(38, BigInt(state.entries), true)
  view.setBigUint64(46, BigInt(state.deletedKeys), true)
  bytes[54] = cursor.length
  bytes.set(cursor, FIXED_BYTES)
  view.setUint32(0, portableCrc32c(0, bytes, 4, bytes.length), true)
  return bytes
}

/** Reads `bytes[0, length)`. SnapshotError `Corrupted`, or `InvalidFormat` for a newer generation. */
export function decodeState(bytes: Uint8Array, length: number): FoldState {
  if (length < FIXED_BYTES) throw new SnapshotError('Corrupted', 'the state of the fold is too short')
  const view = new DataView(bytes.buffer, bytes.byteOffset, length)
  if (portableCrc32c(0, bytes, 4, length) !== view.getUint32(0, true))
    throw new SnapshotError('Corrupted', 'the state of the fold fails its checksum')
  const generation = view.getUint16(4, true)
  if (generation !== GENERATION)
    throw new SnapshotError('InvalidFormat', `layout generation ${generation} is not known here`)
  if (bytes[54]! !== length - FIXED_BYTES)
    throw new SnapshotError('Corrupted', 'the cursor of the fold has another length than stated')
  return {
    foldId: copyOf(bytes, 6, 6 + FOLD_ID_BYTES),
    epoch: view.getBigUint64(22, true),
    commit: view.getBigUint64(30, true),
    entries: Number(view.getBigUint64(38, true)),
    deletedKeys: Number(view.getBigUint64(46, true)),
    cursor: WatchCursor.fromBytes(copyOf(bytes, FIXED_BYTES, length)),
  }
}

/** `crc:u32 | lineage` */
export function encodeLineageRow(lineage: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(4 + lineage.length)
  bytes.set(lineage, 4)
  new DataView(bytes.buffer).setUint32(0, portableCrc32c(0, bytes, 4, bytes.length), true)
  return bytes
}

/** The lineage of the row `bytes[0, length)`, as a copy. SnapshotError `Corrupted`. */
export function decodeLineageRow(bytes: Uint8Array, length: number): Uint8Array {
  const stated = length < 4 ? undefined : new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true)
  if (
    stated === undefined ||
    length > 4 + MAX_LINEAGE_BYTES ||
    portableCrc32c(0, bytes, 4, length) !== stated
  )
    throw new SnapshotError('Corrupted', 'the lineage of the fold fails its checksum')
  return copyOf(bytes, 4, length)
}

/** A copy even where `bytes` is a Buffer, whose `slice` is a view. */
function copyOf(bytes: Uint8Array, from: number, to: number): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset + from, to - from).slice()
}
