import { join } from 'node:path'
import { SnapshotError, type ObjectStore, type WaitOptions } from '@slip/kv-core'
import { systemCode } from '@slip/kv-core/store-parts'
import { artifactFiles } from '../artifact-files.ts'
import { RemoteStream } from '../remote/remote-stream.ts'
import { PartialSpoilt, receive } from '../remote/unpack-archive.ts'
import type { KnownPayload } from './find-changes.ts'
import type { PartList } from './part-list.ts'
import { digestOf } from './part-name.ts'

/**
 * Fetches what has to be known of a published payload to lay a layer upon it: hashes, no records. What is in `directory`
 * already is not fetched again. undefined when some of it is gone, or is not what is listed.
 */
export async function fetchKnown(
  store: ObjectStore,
  prefix: string,
  list: PartList,
  directory: string,
  wait: WaitOptions,
  onReceived: (bytes: number) => void,
): Promise<KnownPayload | undefined> {
  const fetched = async (
    part: string,
    size: number,
    blake3: string,
  ): Promise<{ readonly path: string; readonly size: number } | undefined> => {
    const path = join(directory, digestOf(part))
    if (await isFile(path)) return { path, size }
    const stream = await RemoteStream.open(store, prefix + part, { ...wait, most: size, verify: false })
    if (stream === undefined) return undefined
    try {
      await receive(stream, `${path}.partial`, { path: part, size, blake3 }, wait.signal, () => undefined)
      await artifactFiles.rename(`${path}.partial`, path)
      return { path, size }
    } catch (error) {
      if (isRefusal(error)) return undefined
      throw error
    } finally {
      onReceived(stream.received)
      stream.close()
    }
  }
  const index = await fetched(list.index.part, list.index.size, digestOf(list.index.part))
  if (index === undefined) return undefined
  const layers: { readonly path: string; readonly size: number }[] = []
  for (const { part, head } of list.layers) {
    const layer = await fetched(part, head.size, head.blake3)
    if (layer === undefined) return undefined
    layers.push(layer)
  }
  return { base: list.base.blake3, index, layers }
}

function isRefusal(error: unknown): boolean {
  return error instanceof PartialSpoilt || (SnapshotError.is(error) && error.code === 'ArtifactInvalid')
}

async function isFile(path: string): Promise<boolean> {
  try {
    await artifactFiles.stat(path)
    return true
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false
    throw error
  }
}
