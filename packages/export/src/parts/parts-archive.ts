import { SnapshotError, type ObjectStore, type WaitOptions } from '@slip/kv-core'
import { refused } from '../artifact-error.ts'
import { MANIFEST_FILE, MAX_MANIFEST_BYTES } from '../manifest.ts'
import { mustRead, readArchive } from '../remote/archive-entries.ts'
import { RemoteStream } from '../remote/remote-stream.ts'
import { MAX_SIGNATURE_FILE_BYTES, SIGNATURE_FILE } from '../signature.ts'
import { decodePartList, MAX_PARTS_BYTES, PARTS_FILE, type PartList } from './part-list.ts'

/** What stands in the place of a payload's archive where the payload is in parts. */
export interface PartsArchive {
  readonly list: PartList
  readonly signatures: Uint8Array | undefined
  readonly etag: string
  readonly receivedBytes: number
}

const LONGEST: Readonly<Record<string, number>> = {
  [MANIFEST_FILE]: MAX_MANIFEST_BYTES,
  [SIGNATURE_FILE]: MAX_SIGNATURE_FILE_BYTES,
  [PARTS_FILE]: MAX_PARTS_BYTES,
}

/**
 * Reads the archive of an artifact whose payload is in parts; undefined when there is none. SnapshotError
 * `ArtifactInvalid` for one that is something else, or repeats another manifest than `manifest`.
 */
export async function readPartsArchive(
  store: ObjectStore,
  name: string,
  manifest: Uint8Array | undefined,
  wait: WaitOptions,
): Promise<PartsArchive | undefined> {
  const stream = await RemoteStream.open(store, name, wait)
  if (stream === undefined) return undefined
  try {
    const found = new Map<string, Uint8Array>()
    await readArchive(stream, new Set(Object.keys(LONGEST)), async (path, size) => {
      if (size > LONGEST[path]!) throw refused(`its ${path} has ${size} bytes, more than ${LONGEST[path]}`)
      found.set(path, await mustRead(stream, size))
    })
    for (const path of [MANIFEST_FILE, PARTS_FILE])
      if (!found.has(path)) throw refused(`its archive lacks ${path}`)
    if (manifest !== undefined && Buffer.compare(found.get(MANIFEST_FILE)!, manifest) !== 0)
      throw refused('its archive has another manifest than the pointer')
    return {
      list: decodePartList(found.get(PARTS_FILE)!),
      signatures: found.get(SIGNATURE_FILE),
      etag: stream.etag,
      receivedBytes: stream.received,
    }
  } finally {
    stream.close()
  }
}

/** The list of an archive; undefined when it is none with a list, or is not there. */
export async function listInArchive(
  store: ObjectStore,
  name: string,
  wait: WaitOptions,
): Promise<PartList | undefined> {
  try {
    return (await readPartsArchive(store, name, undefined, wait))?.list
  } catch (error) {
    if (SnapshotError.is(error) && error.code === 'ArtifactInvalid') return undefined
    throw error
  }
}
