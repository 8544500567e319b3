import { protocol, SnapshotError, type ObjectStore, type PutPayload, type WaitOptions } from '@slip/kv-core'
import { decodeManifest, MANIFEST_FILE, MAX_MANIFEST_BYTES } from '../manifest.ts'
import { pruneParts } from '../parts/prune-parts.ts'
import { payloadName, rankInName, rankOf, remoteNames } from './remote-names.ts'
import { readPointer } from './remote-pointer.ts'
import { RemoteStream } from './remote-stream.ts'
import { decodeTarHeader, TAR_BLOCK } from './tar-header.ts'

export interface PruneOptions extends WaitOptions {
  /** How long a payload that is replaced is left for those who may still read it, by the store's clock. */
  readonly graceMs: number
}

/**
 * Deletes the payloads of a name that nobody can be about to publish any more: strictly below the one the pointer
 * names, in its history or an older one, and replaced for at least `graceMs` when the youngest object of the name was put: how far
 * the clock here is ahead or behind does not count. Gives how many. Without a pointer that can be read nothing is deleted. Their parts go with them, unless another payload has them too, and parts that never
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
  const listed = await listedPayloads(store, names.payloads, wait)
  const movedMs = await putAt(store, names.pointer, wait)
  const others = listed.filter(({ name: payload }) => payload !== target)
  const remaining: string[] = [target]
  let pruned = 0
  for (const payload of others) {
    signal?.throwIfAborted()
    const { name: path, rank } = payload
    const aged = { isTarget: false, ageMs: protocol.replacedForMs({ payload, others, movedMs }), graceMs }
    remaining.push(path)
    if (!(aged.ageMs >= graceMs) || !path.endsWith('.tar')) continue
    const incarnation = newest.incarnation === undefined ? undefined : await incarnationOf(store, path, wait)
    if (!protocol.prunable({ ...aged, payload: { rank, incarnation }, pointer: newest })) continue
    await store.delete(path, wait)
    remaining.pop()
    pruned++
  }
  await pruneParts(store, names, { pointer, target, remaining, newest }, { ...options, movedMs })
  return pruned
}

async function listedPayloads(
  store: ObjectStore,
  prefix: string,
  wait: WaitOptions,
): Promise<readonly (PutPayload & { readonly name: string })[]> {
  const listed: (PutPayload & { readonly name: string })[] = []
  for await (const { name, modifiedMs: putMs } of store.list(prefix, wait)) {
    wait.signal?.throwIfAborted()
    listed.push({ name, rank: rankInName(name), putMs })
  }
  return listed
}

/** By the store's clock; undefined when it is not listed. */
async function putAt(store: ObjectStore, path: string, wait: WaitOptions): Promise<number | undefined> {
  for await (const { name, modifiedMs } of store.list(path, wait)) if (name === path) return modifiedMs
  return undefined
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
