import { refused } from '../artifact-error.ts'
import { ManifestFields, shown } from '../manifest-fields.ts'
import { parseStrictJson, type StrictJson } from '../strict-json.ts'
import { isPartName } from './part-name.ts'

/** In an archive in the place of the payload: of what parts it is made. */
export const PARTS_FILE = 'PARTS.json'
/** A longer list is not read. */
export const MAX_PARTS_BYTES: number = 2 * 1024 * 1024
/** A base is not cut into more pieces. */
export const MOST_PIECES = 2048
/** More layers than this are not laid upon one base. */
export const MOST_LAYERS = 32

/** All that a list may have. */
const MOST_KEPT = MOST_PIECES + 1 + MOST_LAYERS

const FORMAT = 1
const DIGEST = /^[0-9a-f]{64}$/

/** An object that is written once. */
export interface Part {
  /** As `partName` gives it. */
  readonly part: string
  readonly size: number
}

export interface LayerPart extends Part {
  /** Digest of the payload that it makes of the one before. */
  readonly makes: string
  /** What stands before its records: all that who makes the next layer needs of it. */
  readonly head: { readonly size: number; readonly blake3: string }
}

/** Of what a payload of records is made. */
export interface PartList {
  /** A whole payload: its pieces, one after the other. */
  readonly base: { readonly blake3: string; readonly pieces: readonly Part[] }
  /** The hashes of its records: for who makes a layer. */
  readonly index: Part
  readonly layers: readonly LayerPart[]
  /** Names of the parts of a list that was here before: who saw that one may have laid upon it. */
  readonly kept: readonly string[]
}

/** Names of all parts that are needed, and may be taken over: those that are kept may be gone already. */
export function partsOf({ base, index, layers }: PartList): readonly string[] {
  return [...base.pieces, index, ...layers].map(({ part }) => part)
}

/** Names of all parts that may not be pruned. */
export function listedIn(list: PartList): readonly string[] {
  return [...partsOf(list), ...list.kept]
}

/** Digests of the payloads that a list makes one after the other. */
export function statesOf({ base, layers }: PartList): readonly string[] {
  return [base.blake3, ...layers.map(({ makes }) => makes)]
}

/** Of the pieces of a base together. */
export function sizeOf(parts: readonly Part[]): number {
  return parts.reduce((sum, { size }) => sum + size, 0)
}

export function encodePartList({ base, index, layers, kept }: PartList): Uint8Array {
  const plain = ({ part, size }: Part): Part => ({ part, size })
  return new TextEncoder().encode(
    JSON.stringify({
      format: FORMAT,
      base_blake3: base.blake3,
      base: base.pieces.map(plain),
      index: plain(index),
      layers: layers.map((layer) => ({
        ...plain(layer),
        makes: layer.makes,
        head_size: layer.head.size,
        head_blake3: layer.head.blake3,
      })),
      kept,
    }),
  )
}

/**
 * Reads a list from anywhere. SnapshotError `ArtifactInvalid` for one that is malformed, has a name that is none, a part
 * twice, or too many. What it makes is compared with the manifest's digest, and so need not be believed.
 */
export function decodePartList(bytes: Uint8Array): PartList {
  if (bytes.length > MAX_PARTS_BYTES)
    throw refused(`its ${PARTS_FILE} has ${bytes.length} bytes, more than ${MAX_PARTS_BYTES}`)
  let value: StrictJson
  try {
    value = parseStrictJson(bytes)
  } catch (cause) {
    throw refused(`its ${PARTS_FILE} is malformed: ${(cause as Error).message}`, { cause })
  }
  const fields = new ManifestFields(value, '', PARTS_FILE)
  const format = fields.count('format')
  if (format !== FORMAT) throw refused(`its ${PARTS_FILE} has the format ${format}, not ${FORMAT}`)
  const list: PartList = {
    base: {
      blake3: takeDigest(fields, 'base_blake3', ''),
      pieces: atMost(MOST_PIECES, 'base', fields).map((each, i) => readPart(each, `base[${i}]`)),
    },
    index: readPart(fields.value('index'), 'index'),
    layers: atMost(MOST_LAYERS, 'layers', fields).map(readLayer),
    kept: atMost(MOST_KEPT, 'kept', fields).map((each, i) => nameIn(each, `kept[${i}]`)),
  }
  fields.end()
  const twice = listedTwice(list)
  if (twice !== undefined) throw refused(`its ${PARTS_FILE} lists ${twice} twice`)
  return list
}

/** A part that a list may not have twice, and has. */
export function listedTwice({ base, index, layers }: PartList): string | undefined {
  // Two pieces of one base may hold the same: long values do.
  const seen = new Set(base.pieces.map(({ part }) => part))
  for (const { part } of [index, ...layers]) {
    if (seen.has(part)) return part
    seen.add(part)
  }
  return undefined
}

function atMost(most: number, name: string, fields: ManifestFields): readonly StrictJson[] {
  const listed = fields.list(name)
  if (listed.length > most)
    throw refused(`its ${PARTS_FILE} has ${listed.length} parts in its ${name}, more than ${most}`)
  return listed
}

function readLayer(value: StrictJson, i: number): LayerPart {
  const where = `layers[${i}]`
  const fields = new ManifestFields(value, `${where}.`, PARTS_FILE)
  const makes = takeDigest(fields, 'makes', `${where}.`)
  const head = { size: fields.count('head_size'), blake3: takeDigest(fields, 'head_blake3', `${where}.`) }
  const layer = takePart(fields, where)
  if (head.size > layer.size) throw refused(`its ${PARTS_FILE} has a ${where}.head_size above its size`)
  return { ...layer, makes, head }
}

function takeDigest(fields: ManifestFields, name: string, where: string): string {
  const digest = fields.text(name)
  if (!DIGEST.test(digest)) throw refused(`its ${PARTS_FILE} has a ${where}${name} that is no digest`)
  return digest
}

function readPart(value: StrictJson, where: string): Part {
  return takePart(new ManifestFields(value, `${where}.`, PARTS_FILE), where)
}

function takePart(fields: ManifestFields, where: string): Part {
  const part = nameIn(fields.text('part'), `${where}.part`)
  const size = fields.count('size')
  fields.end()
  return { part, size }
}

function nameIn(value: StrictJson, where: string): string {
  if (typeof value !== 'string') throw refused(`its ${PARTS_FILE} has a ${where} that is no text`)
  if (isPartName(value)) return value
  throw refused(`its ${PARTS_FILE} has a ${where} ${shown(value)}, which names no part`)
}
