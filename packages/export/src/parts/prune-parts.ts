import { protocol, type ObjectStore, type PayloadRank } from '@slip/kv-core'
import type { PruneOptions } from '../remote/prune-artifacts.ts'
import type { RemoteNames } from '../remote/remote-names.ts'
import { readPointer, type RemotePointer } from '../remote/remote-pointer.ts'
import { listedIn } from './part-list.ts'
import { rankOfPart } from './part-name.ts'
import { listInArchive } from './parts-archive.ts'

/** What is left of a name's payloads. */
export interface RemainingPayloads {
  readonly pointer: RemotePointer
  /** What the pointer names. */
  readonly target: string
  readonly remaining: readonly string[]
  readonly newest: PayloadRank
}

/** Deletes the parts of a name that nobody can be about to publish, nor needs for a payload that is there. */
export async function pruneParts(
  store: ObjectStore,
  { pointer: pointerName, parts }: RemoteNames,
  { pointer, target, remaining, newest }: RemainingPayloads,
  { graceMs, signal, timeoutMs, movedMs = 0 }: PruneOptions & { readonly movedMs: number | undefined },
): Promise<void> {
  const wait = { signal, timeoutMs }
  const judge = (name: string, modifiedMs: number, isListed: boolean, isPointerStill: boolean): boolean => {
    const part = rankOfPart(name.slice(parts.length))
    // The store's clock has come at least as far as when the pointer was moved.
    const ageMs = Math.max(0, movedMs - modifiedMs)
    const input = { pointer: newest, isListed, isPointerStill, ageMs, graceMs }
    return part !== undefined && protocol.prunablePart({ ...input, part })
  }
  const candidates: { readonly name: string; readonly modifiedMs: number }[] = []
  for await (const { name, modifiedMs } of store.list(parts, wait)) {
    signal?.throwIfAborted()
    if (judge(name, modifiedMs, false, true)) candidates.push({ name, modifiedMs })
  }
  if (candidates.length === 0) return
  const listed = new Set<string>()
  for (const payload of new Set([target, ...remaining])) {
    const list = await listInArchive(store, payload, wait)
    // A whole payload has no list.
    for (const part of list === undefined ? [] : listedIn(list)) listed.add(parts + part)
  }
  const isPointerStill = (await readPointer(store, pointerName, wait))?.etag === pointer.etag
  for (const { name, modifiedMs } of candidates)
    if (judge(name, modifiedMs, listed.has(name), isPointerStill)) await store.delete(name, wait)
}
