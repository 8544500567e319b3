import type { ObjectStore, PayloadFormat, WaitOptions } from '@slip/kv-core'
import { mustAdmit, type ArtifactLimits, type ExpectedFold } from '../admission.ts'
import { asIo, refused } from '../artifact-error.ts'
import { artifactFiles } from '../artifact-files.ts'
import type { Manifest } from '../manifest.ts'
import { payloadBytes } from '../open-artifact.ts'
import { payloadOf } from '../payload-formats.ts'
import { mustBeFree, publish } from '../seal-artifact.ts'
import { unmark, withDownloadStage } from './download-stage.ts'
import { payloadName, remoteNames } from './remote-names.ts'
import { readPointer, type RemotePointer } from './remote-pointer.ts'
import { RemoteStream } from './remote-stream.ts'
import { PartialSpoilt, unpackArchive } from './unpack-archive.ts'

/** Called as bytes of the payload come to be there; `receivedBytes` came over the link. */
export type DownloadProgress = (done: {
  readonly bytes: number
  readonly totalBytes: number
  readonly receivedBytes: number
}) => void

export interface DownloadOptions extends WaitOptions, ArtifactLimits {
  readonly expected?: ExpectedFold | undefined
  /** How payloads of other stores are read; those of @slip are found where they are installed. */
  readonly formats?: readonly PayloadFormat[] | undefined
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
    if (await fetchArtifact(from, payload, pointer.bytes, manifest, directory, options)) return manifest
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

/** false when there is no payload. */
async function fetchArtifact(
  from: ObjectStore,
  payload: string,
  bytes: Uint8Array,
  manifest: Manifest,
  directory: string,
  options: DownloadOptions,
): Promise<boolean> {
  const { signal, timeoutMs } = options
  const { names } = await payloadOf(manifest, options.formats ?? [])
  const unpackInto = async (stage: string): Promise<boolean> => {
    await mustBeFree(directory)
    const stream = await RemoteStream.open(from, payload, { signal, timeoutMs })
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
    } finally {
      stream.close()
    }
    await unmark(stage)
    await artifactFiles.syncDirectory(stage)
    signal?.throwIfAborted()
    await publish(stage, directory)
    return true
  }
  try {
    return await withDownloadStage(directory, payload, signal, async (stage) => {
      try {
        return await unpackInto(stage)
      } catch (error) {
        if (!(error instanceof PartialSpoilt)) throw error
        return unpackInto(stage)
      }
    })
  } catch (error) {
    throw asIo(error, 'downloading to', directory, signal)
  }
}
