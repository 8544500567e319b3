import { join } from 'node:path'
import { hexToBytes, SnapshotError, type PayloadFile } from '@slip/kv-core'
import { artifactFiles } from '../artifact-files.ts'
import { digestOfFile } from '../file-window.ts'
import { findChanges, type KnownPayload } from './find-changes.ts'
import { encodeIndexHead, INDEX_HEAD_BYTES } from './hash-index.ts'
import { layersPay } from './layer-plan.ts'
import { pieceBytes, PieceDigests, piecesOf, type LocalPart } from './part-files.ts'
import { sizeOf, statesOf, type PartList } from './part-list.ts'
import { partName } from './part-name.ts'
import { writeHashes, writeLayer, type OwnHashes } from './write-layer.ts'

/** A payload of records that is to be published. */
export interface OwnPayload {
  readonly file: PayloadFile
  /** Where it is. */
  readonly directory: string
  readonly digest: string
  /** How the names of its parts begin. */
  readonly prefix: string
}

/** A list, and those of its parts that are new. */
export interface LaidPayload {
  readonly list: PartList
  readonly own: readonly LocalPart[]
}

/** The payload as a base of its own. Gives it when its digest has matched. */
export async function asBase(
  payload: OwnPayload,
  scratch: string,
  signal: AbortSignal | undefined,
): Promise<LaidPayload> {
  const { file, digest, prefix } = payload
  const path = join(scratch, 'index')
  await artifactFiles.removeTree(path)
  const pieces = new PieceDigests(pieceBytes(file.size))
  const through: PayloadFile = { ...file, read: () => pieces.through(file.read()) }
  const { count } = await writeHashes(through, path, hexToBytes(digest), {
    signal,
    headBytes: INDEX_HEAD_BYTES,
  })
  const size = await writeHead(path, encodeIndexHead(digest, count))
  const index = { part: partName(prefix, await digestOfFile(path, signal)), size, path, start: 0 }
  const cut = piecesOf(payload.directory, file, prefix, pieces.digests)
  return {
    list: { base: { blake3: digest, pieces: cut }, index, layers: [], kept: [] },
    own: [...cut, index],
  }
}

async function writeHead(path: string, head: Uint8Array): Promise<number> {
  const file = await artifactFiles.open(path, 'update')
  try {
    await file.write(head, 0, head.length, 0)
    return (await file.stat()).size
  } finally {
    await file.close()
  }
}

/**
 * The payload as one layer more upon what `known` tells of `list`; undefined when that would not be worth while, or
 * cannot be told.
 */
export async function asLayer(
  payload: OwnPayload,
  list: PartList,
  known: KnownPayload,
  scratch: string,
  signal: AbortSignal | undefined,
): Promise<LaidPayload | undefined> {
  const { file, digest, prefix } = payload
  const base = list.base.blake3
  const hashes = await ownHashes(payload, join(scratch, `hashes-${base}`), hexToBytes(base), signal)
  const changes = await findChanges(hashes, known, { signal }).catch((error: unknown) => {
    // A list that cannot be read: whoever put it, nothing is laid upon it.
    if (SnapshotError.is(error) && (error.code === 'Corrupted' || error.code === 'InvalidFormat'))
      return undefined
    throw error
  })
  if (changes === undefined || 2 * changes.added.length > hashes.count) return undefined
  const path = join(scratch, 'layer')
  await artifactFiles.removeTree(path)
  const from = statesOf(list).at(-1)!
  const layer = await writeLayer(file, path, hashes, changes, { base, from, to: digest }, signal)
  const sizes = [...list.layers.map(({ size }) => size), layer.size]
  if (!layersPay(sizeOf(list.base.pieces), sizes)) return undefined
  const part: LocalPart = { part: partName(prefix, layer.digest), size: layer.size, path, start: 0 }
  return {
    list: { ...list, layers: [...list.layers, { ...part, makes: digest, head: layer.head }], kept: [] },
    own: [part],
  }
}

async function ownHashes(
  { file }: OwnPayload,
  path: string,
  salt: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<OwnHashes> {
  await artifactFiles.removeTree(path)
  return writeHashes(file, path, salt, { signal })
}
