import type { ArtifactPosition, ObjectStore, WaitOptions } from '@slip/kv-core'
import { refused } from '../artifact-error.ts'
import { decodeManifest, MAX_MANIFEST_BYTES, type Manifest } from '../manifest.ts'
import { collect } from '../objects/object-body.ts'
import { retried } from './transient.ts'

/** The pointer as it was read. */
export interface RemotePointer {
  readonly etag: string
  readonly bytes: Uint8Array
  /** undefined when its bytes are no manifest. */
  readonly manifest: Manifest | undefined
  /** Why they are none. */
  readonly malformed?: unknown
}

/** undefined when there is none. SnapshotError `ArtifactInvalid` above 1 MiB: such a pointer is left alone. */
export async function readPointer(
  store: ObjectStore,
  name: string,
  wait: WaitOptions = {},
): Promise<RemotePointer | undefined> {
  const found = await retried(async () => {
    const object = await store.get(name, wait)
    return object && { etag: object.etag, bytes: await collect(object.body, MAX_MANIFEST_BYTES) }
  }, wait.signal)
  if (found === undefined) return undefined
  const { etag, bytes } = found
  if (bytes === undefined) throw refused(`the pointer ${name} exceeds ${MAX_MANIFEST_BYTES} bytes`)
  try {
    return { etag, bytes, manifest: decodeManifest(bytes) }
  } catch (malformed) {
    return { etag, bytes, manifest: undefined, malformed }
  }
}

/** What decides whether one artifact replaces another. */
export function positionOf({ schemaVersion, cursor, binding }: Manifest): ArtifactPosition {
  return { family: schemaVersion === 101 ? 'native' : 'interchange', cursor, binding }
}
