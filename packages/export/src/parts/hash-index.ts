import { hexToBytes } from '@slip/kv-core'
import { ByteWindow } from '../byte-window.ts'
import { RECORD_HASH_BYTES } from './record-hash.ts'

const MAGIC = Buffer.from('SLPIDX\r\n')
const VERSION = 1

/** Before the hashes: magic, version, digest of the base, how many. */
export const INDEX_HEAD_BYTES = 50

/** The hashes of all records of a base, in their order, salted with its digest. */
export function encodeIndexHead(base: string, count: number): Buffer {
  const head = Buffer.alloc(INDEX_HEAD_BYTES)
  MAGIC.copy(head)
  head.writeUInt16LE(VERSION, 8)
  head.set(hexToBytes(base), 10)
  head.writeBigUInt64LE(BigInt(count), 42)
  return head
}

/**
 * How many hashes follow, in an index of `size` bytes; goes past the head. SnapshotError `InvalidFormat`,
 * `Corrupted` for one that is none, of another base, or of another size.
 */
export async function takeIndexHead(window: ByteWindow, base: string, size: number): Promise<number> {
  const head = await window.take(INDEX_HEAD_BYTES)
  const count = Number(head.readBigUInt64LE(42))
  if (Buffer.compare(head, encodeIndexHead(base, count)) !== 0)
    throw window.wrong('InvalidFormat', 'it is no index of this base')
  if (size !== INDEX_HEAD_BYTES + count * RECORD_HASH_BYTES)
    throw window.wrong('InvalidFormat', 'its size is not that of its hashes')
  return count
}
