import { join } from 'node:path'
import type { ObjectStore, PayloadFormat, WaitOptions } from '@slip/kv-core'
import { mustAdmit, type ArtifactLimits, type ExpectedFold } from '../admission.ts'
import { asIo, refused } from '../artifact-error.ts'
import { artifactFiles } from '../artifact-files.ts'
import { MANIFEST_FILE, type Manifest } from '../manifest.ts'
import { payloadBytes, type ArtifactHead } from '../open-artifact.ts'
import { fetchParts } from '../parts/fetch-parts.ts'
import { readPartsArchive } from '../parts/parts-archive.ts'
import { payloadOf } from '../payload-formats.ts'
import { recordsPayload } from '../records/records-payload.ts'
import { mustBeFree, publish } from '../seal-artifact.ts'
import { SIGNATURE_FILE } from '../signature.ts'
import { unmark, withDownloadStage } from './download-stage.ts'
import { payloadName, remoteNames, type RemoteNames } from './remote-names.ts'
import { readPointer, type RemotePointer } from './remote-pointer.ts'
import { ObjectGone, RemoteStream } from './remote-stream.ts'
import { PartialSpoilt, unpackArchive, writeWhole } from './unpack-archive.ts'

/**
 * Called as bytes of the payload, or of the parts it is made of, come to be there. `receivedBytes` came over the link; the rest
 * was here.
 */
export type DownloadProgress = (done: {
  readonly bytes: number
  readonly totalBytes: number
  readonly receivedBytes: number
}) => void

export interface DownloadOptions extends WaitOptions, ArtifactLimits {
  readonly expected?: ExpectedFold | undefined
  /** How payloads of other stores are read; those of @slip are found where they are installed. */
  readonly formats?: readonly PayloadFormat[] | undefined
  /**
   * A directory with an artifact of this name that was fetched or exported before: what a payload of records has in common
   * with it is not fetched. Whatever else it is, it is passed over.
   */
  readonly previous?: string | undefined
  readonly onProgress?: DownloadProgress | undefined
}

const MOST_POINTERS = 5

/**
 * Fetches the newest artifact of a name into a directory, which is absent or empty before, and afterwards
 * complete, durable and of the digests its manifest lists; undefined when none is published. What is
 * refused by its manifest alone is not fetched. `timeoutMs` is how long the link may give nothing.
 *
 * A link that breaks is taken up where it ended. When it stays broken, or the process dies, what came lies in
 * `DIRECTORY.slip-download`, and the next call goes on from there; an abort or a refusal removes it. A pointer
 * that moved on while its payload was fetched, and was pruned, is followed.
 *
 * SnapshotError `ArtifactInvalid`, `AlreadyExists`, `Busy`, `Io`; KvError of the transport.
 */
export async function downloadArtifact(
  from: ObjectStore,
  name: string,
  directory: string,
  options: DownloadOptions = {},
): Promise<Manifest | undefined> {
  const { signal, timeoutMs } = options
  signal?.throwIfAborted()
  const names = remoteNames(name)
  let missing: RemotePointer | undefined
  for (let looked = 0; looked < MOST_POINTERS; looked++) {
    const pointer = await readPointer(from, names.pointer, { signal, timeoutMs })
    if (pointer === undefined) return undefined
    if (missing !== undefined && Buffer.compare(missing.bytes, pointer.bytes) === 0) break
    const manifest = mustBeWanted(pointer, options)
    const payload = await payloadName(names, manifest.cursor, pointer.bytes)
    if (await fetchArtifact(from, names, payload, pointer.bytes, manifest, directory, options))
      return manifest
    missing = pointer
  }
  throw refused(`the payload of ${names.pointer} is not found`)
}

/** What its pointer says; the signatures come with the payload. */
function mustBeWanted({ manifest, malformed, bytes }: RemotePointer, options: DownloadOptions): Manifest {
  if (manifest === undefined) throw malformed
  const unsigned = { ...options, requireSignature: false, trustedKeys: [] }
  mustAdmit({ manifest, bytes, signatures: undefined }, unsigned, options.expected ?? {})
  return manifest
}

/** false when there is no payload, or it or a part of it went away. */
async function fetchArtifact(
  from: ObjectStore,
  names: RemoteNames,
  payload: string,
  bytes: Uint8Array,
  manifest: Manifest,
  directory: string,
  options: DownloadOptions,
): Promise<boolean> {
  const { signal } = options
  const { format, names: files } = await payloadOf(manifest, options.formats ?? [])
  const isInParts = format === recordsPayload
  const fetchInto = async (stage: string): Promise<boolean> => {
    await mustBeFree(directory)
    const head = { manifest, bytes }
    const found = isInParts
      ? await fetchInParts(from, names, payload, head, stage, options)
      : await fetchWhole(from, payload, head, files, stage, options)
    if (!found) return false
    await unmark(stage)
    await artifactFiles.syncDirectory(stage)
    signal?.throwIfAborted()
    await publish(stage, directory)
    return true
  }
  try {
    // Parts are good for whatever the pointer names next.
    return await withDownloadStage(directory, isInParts ? names.parts : payload, signal, async (stage) => {
      try {
        return await fetchInto(stage).catch((error: unknown) => {
          if (error instanceof PartialSpoilt) return fetchInto(stage)
          throw error
        })
      } catch (error) {
        if (error instanceof ObjectGone) return false
        throw error
      }
    })
  } catch (error) {
    throw asIo(error, 'downloading to', directory, signal)
  }
}

async function fetchWhole(
  from: ObjectStore,
  payload: string,
  { manifest, bytes }: Pick<ArtifactHead, 'manifest' | 'bytes'>,
  names: readonly string[],
  stage: string,
  options: DownloadOptions,
): Promise<boolean> {
  const { signal, timeoutMs } = options
  const stream = await RemoteStream.open(from, payload, { signal, timeoutMs, verify: false })
  if (stream === undefined) return false
  const totalBytes = payloadBytes(manifest)
  let there = 0
  const onBytes = (length: number): void => {
    there += length
    options.onProgress?.({ bytes: there, totalBytes, receivedBytes: stream.received })
  }
  try {
    const signatures = await unpackArchive(stream, stage, { manifest, bytes, names, signal, onBytes })
    mustAdmit({ manifest, bytes, signatures }, options, options.expected ?? {})
    return true
  } finally {
    stream.close()
  }
}

async function fetchInParts(
  from: ObjectStore,
  names: RemoteNames,
  payload: string,
  { manifest, bytes }: Pick<ArtifactHead, 'manifest' | 'bytes'>,
  stage: string,
  options: DownloadOptions,
): Promise<boolean> {
  const { signal, timeoutMs } = options
  const archive = await readPartsArchive(from, payload, bytes, { signal, timeoutMs })
  if (archive === undefined) return false
  const { list, signatures, receivedBytes } = archive
  mustAdmit({ manifest, bytes, signatures }, options, options.expected ?? {})
  const fetched = await fetchParts({
    from,
    prefix: names.parts,
    list,
    listed: manifest.files[0]!,
    stage,
    previous: options.previous,
    wait: { signal, timeoutMs },
    receivedBytes,
    onProgress: options.onProgress,
  })
  if (!fetched) return false
  await writeWhole(join(stage, MANIFEST_FILE), bytes)
  if (signatures !== undefined) await writeWhole(join(stage, SIGNATURE_FILE), signatures)
  return true
}
