import { protocol, SnapshotError, type ObjectStore, type WaitOptions } from '@slip/kv-core'
import { decodeManifest, MANIFEST_FILE, MAX_MANIFEST_BYTES } from '../manifest.ts'
import { pruneParts } from '../parts/prune-parts.ts'
import { recordsPayload } from '../records/records-payload.ts'
import { payloadName, rankInName, rankOf, remoteNames } from './remote-names.ts'
import { readPointer } from './remote-pointer.ts'
import { RemoteStream } from './remote-stream.ts'
import { decodeTarHeader, TAR_BLOCK } from './tar-header.ts'

export interface PruneOptions extends WaitOptions {
  /** How long a payload is left for those who may still read it, by its time in the store. */
  readonly graceMs: number
}

/**
 * Deletes the payloads of a name that nobody can be about to publish any more: strictly below the one the pointer
 * names, in its history or an older one, and at least `graceMs` old. Gives how many. Without a pointer
 * that can be read nothing is deleted. Their parts go with them, unless another payload has them too, and parts that never
 * became part of a payload. What a payload that died on its way left in the store is the transport's
 * to remove.
 */
export async function pruneArtifacts(
  store: ObjectStore,
  name: string,
  options: PruneOptions,
): Promise<number> {
  const { graceMs, signal, timeoutMs } = options
  const wait = { signal, timeoutMs }
  const names = remoteNames(name)
  const pointer = await readPointer(store, names.pointer, wait)
  if (pointer?.manifest === undefined) return 0
  const { cursor, binding } = pointer.manifest
  const target = await payloadName(names, cursor, pointer.bytes)
  const newest = { rank: rankOf(cursor), incarnation: binding?.incarnation }
  const remaining: string[] = []
  let pruned = 0
  for await (const { name: payload, modifiedMs } of store.list(names.payloads, wait)) {
    signal?.throwIfAborted()
    const aged = { isTarget: payload === target, ageMs: Date.now() - modifiedMs, graceMs }
    remaining.push(payload)
    if (aged.isTarget || !(aged.ageMs >= graceMs) || !payload.endsWith('.tar')) continue
    const incarnation =
      newest.incarnation === undefined ? undefined : await incarnationOf(store, payload, wait)
    const rank = rankInName(payload)
    if (!protocol.prunable({ ...aged, payload: { rank, incarnation }, pointer: newest })) continue
    await store.delete(payload, wait)
    remaining.pop()
    pruned++
  }
  const isInParts = pointer.manifest.backend === recordsPayload.backend
  await pruneParts(store, names, { target, isInParts, remaining, newest }, options)
  return pruned
}

/** The history a payload of ours states, whose manifest comes first; undefined where it states none. */
async function incarnationOf(
  store: ObjectStore,
  payload: string,
  wait: WaitOptions,
): Promise<string | undefined> {
  const stream = await RemoteStream.open(store, payload, wait)
  if (stream === undefined) return undefined
  try {
    const header = decodeTarHeader(await stream.exactly(TAR_BLOCK))
    if (header?.name !== MANIFEST_FILE || header.size > MAX_MANIFEST_BYTES) return undefined
    return decodeManifest(await stream.exactly(header.size)).binding?.incarnation
  } catch (error) {
    if (SnapshotError.is(error) && error.code === 'ArtifactInvalid') return undefined
    throw error
  } finally {
    stream.close()
  }
}
