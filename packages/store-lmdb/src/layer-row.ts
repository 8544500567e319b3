import { SnapshotError } from '@slip/kv-core'
import { portableCrc32c } from '@slip/kv-core/store-parts'

/** Key in the `meta` database; there while what arrived is in layers above the sorted databases. */
export const LAYERS_KEY = 'layers'
/** The database of batches that are in no run yet, in the order in which they came. */
export const ARRIVALS_NAME = 'arrivals'

const RUN_PATTERN = /^run-\d{6}$/
const FIXED_BYTES = 4 + 8 + 8 + 4 + 4 + 4

/** What lies above the databases `data` and `deleted` while a fold is hydrated in bulk; a later layer hides an earlier one. */
export interface Layers {
  /** How many records `data` and `deleted` have themselves. */
  readonly base: { readonly entries: number; readonly deletedKeys: number }
  /** How many records each run has; the last one is the newest. */
  readonly runs: readonly number[]
  /** The numbers of the batches above all runs: `from` is one of them, `to` is not. */
  readonly arrivals: { readonly from: number; readonly to: number }
}

/** The database of the run with this index. */
export function runName(index: number): string {
  return `run-${String(index).padStart(6, '0')}`
}

export function isLayerName(database: string): boolean {
  return database === ARRIVALS_NAME || RUN_PATTERN.test(database)
}

/** The key of a batch that arrived: its number, so that the order of keys is that of arrival. */
export function arrivalKey(number: number): string {
  return String.fromCharCode(number >>> 24, (number >>> 16) & 255, (number >>> 8) & 255, number & 255)
}

/** `crc:u32 | entries:u64 | deleted:u64 | from:u32 | to:u32 | runs:u32 | records:u32 a run` */
export function encodeLayers({ base, runs, arrivals }: Layers): Uint8Array {
  const bytes = new Uint8Array(FIXED_BYTES + 4 * runs.length)
  const view = new DataView(bytes.buffer)
  view.setBigUint64(4, BigInt(base.entries), true)
  view.setBigUint64(12, BigInt(base.deletedKeys), true)
  view.setUint32(20, arrivals.from, true)
  view.setUint32(24, arrivals.to, true)
  view.setUint32(28, runs.length, true)
  for (const [i, records] of runs.entries()) view.setUint32(FIXED_BYTES + 4 * i, records, true)
  view.setUint32(0, portableCrc32c(0, bytes, 4, bytes.length), true)
  return bytes
}

/** Reads `bytes[0, length)`. SnapshotError `Corrupted`. */
export function decodeLayers(bytes: Uint8Array, length: number): Layers {
  const view = new DataView(bytes.buffer, bytes.byteOffset, length)
  const runs = length < FIXED_BYTES ? -1 : view.getUint32(28, true)
  if (length !== FIXED_BYTES + 4 * runs || portableCrc32c(0, bytes, 4, length) !== view.getUint32(0, true))
    throw new SnapshotError('Corrupted', 'the list of layers fails its checksum')
  return {
    base: {
      entries: Number(view.getBigUint64(4, true)),
      deletedKeys: Number(view.getBigUint64(12, true)),
    },
    runs: Array.from({ length: runs }, (_, i) => view.getUint32(FIXED_BYTES + 4 * i, true)),
    arrivals: { from: view.getUint32(20, true), to: view.getUint32(24, true) },
  }
}
