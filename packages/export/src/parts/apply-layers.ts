import { hexToBytes, SnapshotError } from '@slip/kv-core'
import type { LogHandle } from '@slip/kv-core/store-parts'
import { refused } from '../artifact-error.ts'
import { artifactFiles, readStretches } from '../artifact-files.ts'
import { HASH_STRETCH_BYTES, newBlake3 } from '../blake3.ts'
import { ByteWindow } from '../byte-window.ts'
import { encodeEnd, type RawRecord } from '../records/record.ts'
import { RecordStream } from '../records/record-stream.ts'
import { StretchWriter } from '../stretch-writer.ts'
import { MOST_CHANGES } from './find-changes.ts'
import { readHashes } from './hash-list.ts'
import { HashTable } from './hash-table.ts'
import { takeLayerHead, type LayerHead } from './layer-head.ts'
import { RecordHash } from './record-hash.ts'

/** Layers in files of our own, each with the digests of what it is laid upon and of what it makes. */
export interface LayerFile {
  readonly path: string
  readonly size: number
  readonly from: string
  readonly to: string
}

export interface ApplyOptions {
  /** Bytes of what is made. */
  readonly most: number
  /** Hashes of all layers: so many are held. @default 3,000,000 */
  readonly mostChanges?: number | undefined
  readonly signal: AbortSignal | undefined
}

/** Where the records of one payload or layer come from. */
interface Source {
  readonly records: RecordStream
  /** 0 is the payload that is begun with. */
  readonly layer: number
}

/**
 * Makes the payload that the last of some layers says, of the one that the first is laid upon, in one pass: at most
 * `most` bytes, into an open, empty file. Gives its digest, for the caller to compare. What a layer removed
 * is dropped from all that lies below it; of a key that comes twice the upper one counts. Holds only the hashes of what
 * was removed. SnapshotError `ArtifactInvalid` for layers that do not fit.
 */
export async function applyLayers(
  begin: string,
  layers: readonly LayerFile[],
  base: string,
  target: LogHandle,
  { most, mostChanges = MOST_CHANGES, signal }: ApplyOptions,
): Promise<{ readonly digest: string; readonly size: number }> {
  const opened: LogHandle[] = []
  try {
    const windows: ByteWindow[] = []
    for (const path of [begin, ...layers.map((layer) => layer.path)]) {
      const file = await artifactFiles.open(path, 'read')
      opened.push(file)
      windows.push(new ByteWindow(readStretches(file, HASH_STRETCH_BYTES), path))
    }
    const [first, ...others] = windows
    const heads: LayerHead[] = []
    for (const [i, window] of others.entries()) heads.push(await mustFit(window, layers[i]!, base))
    const gone = await removals(others, heads, mostChanges, signal)
    const sources: Source[] = [
      { records: (await RecordStream.ofPayload(first!, signal)).records, layer: 0 },
      ...others.map((window, i) => ({ records: new RecordStream(window, signal), layer: i + 1 })),
    ]
    const hash = await newBlake3()
    const out = new StretchWriter(target, (bytes) => hash.update(bytes))
    await out.add(heads.at(-1)!.header)
    await merge(sources, gone, new RecordHash(hexToBytes(base)), out, most)
    return { digest: hash.digest(), size: out.end }
  } catch (error) {
    if (SnapshotError.is(error) && (error.code === 'Corrupted' || error.code === 'InvalidFormat'))
      throw refused(`its parts do not fit: ${error.message}`, { cause: error })
    throw error
  } finally {
    for (const file of opened) await file.close()
  }
}

async function mustFit(window: ByteWindow, { size, from, to }: LayerFile, base: string): Promise<LayerHead> {
  const head = await takeLayerHead(window, size)
  if (head.base !== base || head.from !== from || head.to !== to)
    throw window.wrong('InvalidFormat', 'it is laid upon something else than is listed')
  return head
}

/** Of each record that a layer removed the last such layer. */
async function removals(
  windows: readonly ByteWindow[],
  heads: readonly LayerHead[],
  most: number,
  signal: AbortSignal | undefined,
): Promise<HashTable> {
  const all = heads.reduce((sum, { removed, added }) => sum + removed + added, 0)
  if (all > most) throw refused(`its layers change ${all} records, more than ${most}`)
  const gone = new HashTable(all)
  for (const [i, window] of windows.entries()) {
    const { removed, added } = heads[i]!
    await readHashes(window, removed, (high, low) => gone.mark(high, low, i + 1), signal)
    await readHashes(window, added, () => undefined, signal)
  }
  return gone
}

async function merge(
  sources: readonly Source[],
  gone: HashTable,
  hash: RecordHash,
  out: StretchWriter,
  most: number,
): Promise<void> {
  const order: Source[] = []
  for (const source of sources) if (await advance(source)) insert(order, source)
  const isGone = (record: RawRecord, layer: number): boolean => {
    if (gone.size === 0) return false
    const own = hash.of(record.bytes)
    return gone.markOf(own.readUInt32BE(0), own.readUInt32BE(4)) > layer
  }
  let [entries, deleted] = [0, 0]
  let last: Buffer | undefined
  for (let source = order[0]; source !== undefined; source = order[0]) {
    const record = source.records.current!
    if (last === undefined || Buffer.compare(last, record.key) !== 0) {
      last = Buffer.from(record.key)
      if (!isGone(record, source.layer)) {
        if (record.kind === 'live') entries++
        else deleted++
        if (out.fits(record.bytes.length)) out.put(record.bytes)
        else await out.add(record.bytes)
        if (out.end > most) throw refused(`its parts make more than the ${most} bytes that are listed`)
      }
    }
    order.shift()
    if (await advance(source)) insert(order, source)
  }
  await out.add(encodeEnd({ entries, deleted }))
  await out.flush()
}

/** false at the end of its records. */
async function advance({ records, layer }: Source): Promise<boolean> {
  const next = records.step() ?? (await records.advance())
  if (next?.kind === 'end') {
    if (layer > 0) throw records.window.wrong('InvalidFormat', 'a layer with an end of a payload')
    if ((await records.advance()) !== undefined) throw records.window.wrong('InvalidFormat', 'it goes on')
    return false
  }
  if (next === undefined && layer === 0) throw records.window.wrong('Corrupted', 'it is cut short')
  return next !== undefined
}

/** By key, of one key the upper layer first. */
function insert(order: Source[], source: Source): void {
  const { key } = source.records.current!
  let at = 0
  while (at < order.length && comesBefore(order[at]!, key, source.layer)) at++
  order.splice(at, 0, source)
}

function comesBefore(other: Source, key: Buffer, layer: number): boolean {
  const compared = Buffer.compare(other.records.current!.key, key)
  return compared < 0 || (compared === 0 && other.layer > layer)
}
