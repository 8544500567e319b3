import { Slices } from '@slip/kv-core'
import { ByteWindow } from '../byte-window.ts'
import { RECORD_HASH_BYTES } from './record-hash.ts'

/** The next hashes of a list. */
export type SeeHash = (high: number, low: number) => void

/** Goes through `count` hashes. SnapshotError `Corrupted` when there are fewer. */
export async function readHashes(
  window: ByteWindow,
  count: number,
  see: SeeHash,
  signal: AbortSignal | undefined,
): Promise<void> {
  const slices = new Slices('export.hashes')
  for (let left = count; left > 0;) {
    if (!(await window.fill(RECORD_HASH_BYTES)))
      throw window.wrong('Corrupted', 'a list of hashes is cut short')
    signal?.throwIfAborted()
    slices.begin()
    const { bytes } = window
    const here = Math.min(left, Math.floor(bytes.length / RECORD_HASH_BYTES))
    for (let i = 0; i < here; i++) {
      see(bytes.readUInt32BE(i * RECORD_HASH_BYTES), bytes.readUInt32BE(i * RECORD_HASH_BYTES + 4))
      if ((i & 0xfff) === 0xfff && slices.due()) await slices.pause()
    }
    window.skip(here * RECORD_HASH_BYTES)
    left -= here
  }
  slices.end()
}
