import { bytesToHex, hexToBytes } from '@slip/kv-core'
import type { ByteWindow } from '../byte-window.ts'
import { MOST_HEADER_BYTES } from '../records/record-header.ts'
import { RECORD_HASH_BYTES } from './record-hash.ts'

const MAGIC = Buffer.from('SLPLAY\r\n')
const VERSION = 1
/** Magic, version, three digests, three counts. */
const FIXED_BYTES = 118

/** What stands before the hashes and records of a layer. */
export interface LayerHead {
  /** Digest of the base, with which hashes are salted. */
  readonly base: string
  /** Digests of the payload that the layer is laid upon, and of what it makes of it. */
  readonly from: string
  readonly to: string
  /** How many records go, and how many come. */
  readonly removed: number
  readonly added: number
  /** The beginning of the payload that it makes. */
  readonly header: Uint8Array
}

export function encodeLayerHead({ base, from, to, removed, added, header }: LayerHead): Buffer {
  const head = Buffer.alloc(FIXED_BYTES)
  MAGIC.copy(head)
  head.writeUInt16LE(VERSION, 8)
  for (const [i, digest] of [base, from, to].entries()) head.set(hexToBytes(digest), 10 + 32 * i)
  head.writeUInt32LE(removed, 106)
  head.writeUInt32LE(added, 110)
  head.writeUInt32LE(header.length, 114)
  return Buffer.concat([head, header])
}

/** How long the hashes are that follow the head. */
export function hashBytes({ removed, added }: Pick<LayerHead, 'removed' | 'added'>): number {
  return (removed + added) * RECORD_HASH_BYTES
}

/** SnapshotError `InvalidFormat`, `Corrupted` for what is no layer, or has more hashes than `size` bytes hold. */
export async function takeLayerHead(window: ByteWindow, size: number): Promise<LayerHead> {
  const fixed = await window.take(FIXED_BYTES)
  if (Buffer.compare(fixed.subarray(0, MAGIC.length), MAGIC) !== 0 || fixed.readUInt16LE(8) !== VERSION)
    throw window.wrong('InvalidFormat', 'it is no layer')
  const [base, from, to] = [10, 42, 74].map((at) => bytesToHex(fixed.subarray(at, at + 32)))
  const counts = { removed: fixed.readUInt32LE(106), added: fixed.readUInt32LE(110) }
  const headerBytes = fixed.readUInt32LE(114)
  if (headerBytes > MOST_HEADER_BYTES || FIXED_BYTES + headerBytes + hashBytes(counts) > size)
    throw window.wrong('InvalidFormat', 'it has not the bytes that its head counts')
  return { base: base!, from: from!, to: to!, ...counts, header: await window.take(headerBytes) }
}
