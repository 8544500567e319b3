import { join } from 'node:path'
import { protocol, SnapshotError, type LayersAfter, type ObjectStore, type WaitOptions } from '@slip/kv-core'
import type { LogHandle } from '@slip/kv-core/store-parts'
import { refused } from '../artifact-error.ts'
import { artifactFiles } from '../artifact-files.ts'
import { newBlake3 } from '../blake3.ts'
import { withFileWindow } from '../file-window.ts'
import { PAYLOAD_DIRECTORY, type ManifestFile } from '../manifest.ts'
import { payloadFiles, readHead } from '../open-artifact.ts'
import { RECORDS_FILE, recordsPayload } from '../records/records-payload.ts'
import type { DownloadProgress } from '../remote/download-artifact.ts'
import { RemoteStream } from '../remote/remote-stream.ts'
import { receive, writeAt } from '../remote/unpack-archive.ts'
import { applyLayers, type LayerFile } from './apply-layers.ts'
import { sizeOf, statesOf, type Part, type PartList } from './part-list.ts'
import { digestOf } from './part-name.ts'
import { PartsProgress } from './parts-progress.ts'
import { mustHaveSize, receivePieces } from './receive-pieces.ts'

export interface FetchPartsOptions {
  readonly from: ObjectStore
  /** What stands before the names of parts. */
  readonly prefix: string
  readonly list: PartList
  /** What is to be made. */
  readonly listed: ManifestFile
  /** May hold parts of an attempt before. */
  readonly stage: string
  readonly previous: string | undefined
  readonly wait: WaitOptions
  /** What was received before. */
  readonly receivedBytes: number
  readonly onProgress: DownloadProgress | undefined
}

/** What came of it: its digest is that of the manifest, a part is not there, or it is something else. */
type Made = 'made' | 'gone' | 'spoilt'

const PARTS_DIRECTORY = 'parts'
/** Of what may be fetched for one payload: a base is at most twice as large, and its layers half of that. */
const MOST_TIMES = 4
const SPARE_BYTES = 1024 * 1024

/**
 * Makes the payload of a list in a stage, of its digest and synced: what a payload that is here already has of it is
 * not fetched. false when a part is not there. SnapshotError `ArtifactInvalid`.
 */
export async function fetchParts(options: FetchPartsOptions): Promise<boolean> {
  const { list, listed, stage, previous } = options
  mustBeModest(list, listed)
  const own = previous === undefined ? undefined : await digestOfPrevious(previous)
  const plan = protocol.layersAfter({ states: statesOf(list), own, wanted: listed.blake3 })
  if (plan === undefined) throw refused('its parts make another payload than its manifest lists')
  const parts = join(stage, PARTS_DIRECTORY)
  await artifactFiles.mkdir(parts)
  await removeOthers(parts, list)
  const made = await make(options, plan)
  if (made === 'gone') return false
  if (made === 'spoilt') {
    if (plan.begin === 'own') return fetchParts({ ...options, previous: undefined })
    throw refused(`its parts make a ${listed.path} of another digest than the manifest lists`)
  }
  await artifactFiles.syncDirectory(join(stage, PAYLOAD_DIRECTORY))
  await artifactFiles.removeTree(parts)
  return true
}

/** Before anything is fetched. */
function mustBeModest(list: PartList, { size }: ManifestFile): void {
  const bytes = sizeOf([...list.base.pieces, ...list.layers])
  if (bytes > MOST_TIMES * size + SPARE_BYTES)
    throw refused(`its parts have ${bytes} bytes, too many for a payload of ${size}`)
}

/** Of the payload of an artifact that is here; undefined when it is none of records. */
async function digestOfPrevious(directory: string): Promise<string | undefined> {
  try {
    const { manifest } = await readHead(directory)
    if (manifest.backend !== recordsPayload.backend) return undefined
    const [file] = await payloadFiles(directory, manifest, [RECORDS_FILE])
    return file && manifest.files[0]?.blake3
  } catch (error) {
    if (SnapshotError.is(error)) return undefined
    throw error
  }
}

/** What an attempt before left that is no part of this payload. */
async function removeOthers(directory: string, { base, layers }: PartList): Promise<void> {
  const wanted = new Set([base.blake3, ...layers.map(({ part }) => digestOf(part))])
  for (const name of await artifactFiles.readdir(directory))
    if (!wanted.has(name)) await artifactFiles.removeTree(join(directory, name))
}

async function make(options: FetchPartsOptions, { begin, skip }: LayersAfter): Promise<Made> {
  const { from, prefix, list, listed, stage, previous, wait } = options
  const { pieces, blake3 } = list.base
  const all = sizeOf([...pieces, ...list.layers])
  const progress = new PartsProgress(all, options.receivedBytes, options.onProgress)
  const base = join(stage, PARTS_DIRECTORY, blake3)
  let begun = base
  if (begin === 'own') {
    begun = join(previous!, PAYLOAD_DIRECTORY, RECORDS_FILE)
    progress.has(sizeOf([...pieces, ...list.layers.slice(0, skip)]))
  } else {
    const received = await receivePieces(from, prefix, pieces, base, wait, progress)
    if (received === undefined) return 'gone'
    if (received.digest !== blake3) return 'spoilt'
  }
  const states = statesOf(list)
  const layers: LayerFile[] = []
  for (const [i, layer] of list.layers.slice(skip).entries()) {
    const path = join(stage, PARTS_DIRECTORY, digestOf(layer.part))
    if (!(await receiveLayer(options, layer, path, progress))) return 'gone'
    layers.push({ path, size: layer.size, from: states[skip + i]!, to: layer.makes })
  }
  const payload = join(stage, PAYLOAD_DIRECTORY)
  await artifactFiles.removeTree(payload)
  await artifactFiles.mkdir(payload)
  const target = join(payload, RECORDS_FILE)
  if (begin === 'base' && layers.length === 0) {
    await artifactFiles.rename(base, target)
    return 'made'
  }
  const file = await artifactFiles.open(target, 'create')
  try {
    const made =
      layers.length === 0
        ? await copied(begun, file, listed.size, wait.signal)
        : await applyLayers(begun, layers, blake3, file, { most: listed.size, signal: wait.signal })
    if (made.digest !== listed.blake3 || made.size !== listed.size) return 'spoilt'
    await file.sync()
    return 'made'
  } catch (error) {
    // What was here may be to blame; without it the parts are.
    if (begin === 'own' && SnapshotError.is(error) && error.code === 'ArtifactInvalid') return 'spoilt'
    throw error
  } finally {
    await file.close()
  }
}

async function receiveLayer(
  { from, prefix, wait }: FetchPartsOptions,
  layer: Part,
  path: string,
  progress: PartsProgress,
): Promise<boolean> {
  const stream = await RemoteStream.open(from, prefix + layer.part, { ...wait, verify: false })
  if (stream === undefined) return false
  progress.from(stream)
  try {
    mustHaveSize(stream, layer)
    const listed = { path: layer.part, size: layer.size, blake3: digestOf(layer.part) }
    await receive(stream, path, listed, wait.signal, (length) => progress.has(length))
    return true
  } finally {
    progress.close(stream)
  }
}

/** Copies at most `most` bytes of a file. */
async function copied(
  path: string,
  target: LogHandle,
  most: number,
  signal: AbortSignal | undefined,
): Promise<{ readonly digest: string; readonly size: number }> {
  const hash = await newBlake3()
  let size = 0
  await withFileWindow(path, async (window) => {
    while (size < most && (await window.fill(1))) {
      signal?.throwIfAborted()
      const bytes = window.bytes.subarray(0, most - size)
      hash.update(bytes)
      await writeAt(target, bytes, size)
      size += bytes.length
      window.skip(bytes.length)
    }
  })
  return { digest: hash.digest(), size }
}
