import type { PayloadFile } from '@slip/kv-core'
import { artifactFiles } from '../artifact-files.ts'
import { newBlake3 } from '../blake3.ts'
import { ByteWindow } from '../byte-window.ts'
import type { RawRecord } from '../records/record.ts'
import { RecordStream } from '../records/record-stream.ts'
import { StretchWriter } from '../stretch-writer.ts'
import { digestOfFile, withFileWindow } from '../file-window.ts'
import type { Changes } from './find-changes.ts'
import { readHashes } from './hash-list.ts'
import { encodeLayerHead, type LayerHead } from './layer-head.ts'
import { RECORD_HASH_BYTES, RecordHash } from './record-hash.ts'

/** A part in a file of our own. */
export interface WrittenPart {
  readonly path: string
  readonly size: number
  readonly digest: string
}

/** Hashes of a payload's records in a file, in their order. */
export interface OwnHashes {
  readonly path: string
  readonly count: number
  /** The beginning of the payload. */
  readonly header: Uint8Array
}

/** Writes the hashes of all records of a payload, whose digest has matched when this resolves. */
export async function writeHashes(
  payload: PayloadFile,
  path: string,
  salt: Uint8Array,
  { signal, headBytes = 0 }: { readonly signal: AbortSignal | undefined; readonly headBytes?: number },
): Promise<OwnHashes> {
  const file = await artifactFiles.open(path, 'create')
  try {
    const out = new StretchWriter(file)
    const hash = new RecordHash(salt)
    let count = 0
    await out.add(Buffer.alloc(headBytes))
    const header = await eachRecord(payload, signal, ({ bytes }) => {
      count++
      const own = hash.of(bytes)
      if (!out.fits(own.length)) return out.add(own)
      out.put(own)
      return undefined
    })
    await out.flush()
    return { path, count, header }
  } finally {
    await file.close()
  }
}

/** Writes the layer that makes this payload of another one; gives also what stands before its records. */
export async function writeLayer(
  payload: PayloadFile,
  path: string,
  own: OwnHashes,
  { added, removed }: Changes,
  states: Pick<LayerHead, 'base' | 'from' | 'to'>,
  signal: AbortSignal | undefined,
): Promise<WrittenPart & { readonly head: { readonly size: number; readonly blake3: string } }> {
  const head = Buffer.concat([
    encodeLayerHead({ ...states, removed: removed.length, added: added.length, header: own.header }),
    bytesOf(removed),
    await hashesOf(own, added, signal),
  ])
  const ofHead = await newBlake3()
  ofHead.update(head)
  const file = await artifactFiles.open(path, 'create')
  let size
  try {
    const out = new StretchWriter(file)
    await out.add(head)
    let next = 0
    await eachRecord(payload, signal, ({ bytes }, place) => {
      if (added[next] !== place) return undefined
      next++
      if (!out.fits(bytes.length)) return out.add(bytes)
      out.put(bytes)
      return undefined
    })
    await out.flush()
    size = out.end
  } finally {
    await file.close()
  }
  return {
    path,
    size,
    digest: await digestOfFile(path, signal),
    head: { size: head.length, blake3: ofHead.digest() },
  }
}

function bytesOf(hashes: BigUint64Array): Buffer {
  const bytes = Buffer.allocUnsafe(hashes.length * RECORD_HASH_BYTES)
  for (const [i, each] of hashes.entries()) bytes.writeBigUInt64BE(each, i * RECORD_HASH_BYTES)
  return bytes
}

/** The hashes of the records at these places. */
async function hashesOf(
  { path, count }: OwnHashes,
  places: Uint32Array,
  signal: AbortSignal | undefined,
): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(places.length * RECORD_HASH_BYTES)
  let [place, next] = [0, 0]
  const see = (high: number, low: number): void => {
    if (places[next] === place++) {
      bytes.writeUInt32BE(high, next * RECORD_HASH_BYTES)
      bytes.writeUInt32BE(low, next * RECORD_HASH_BYTES + 4)
      next++
    }
  }
  await withFileWindow(path, async (window) => readHashes(window, count, see, signal))
  return bytes
}

/** Goes through the records of a payload, whose digest has matched at the end, and gives how it begins. */
async function eachRecord(
  payload: PayloadFile,
  signal: AbortSignal | undefined,
  see: (record: RawRecord, place: number) => Promise<void> | undefined,
): Promise<Buffer> {
  const window = new ByteWindow(payload.read(), payload.name)
  try {
    const { header, records } = await RecordStream.ofPayload(window, signal)
    for (let place = 0; ; place++) {
      const record = records.step() ?? (await records.advance())
      if (record === undefined) break
      const seen = record.kind === 'end' ? undefined : see(record, place)
      if (seen !== undefined) await seen
    }
    if (!records.ended) throw window.wrong('Corrupted', 'it is cut short')
    return header
  } finally {
    await window.close()
  }
}
