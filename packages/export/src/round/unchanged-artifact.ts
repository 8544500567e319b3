import { protocol, type ExportedState, type ObjectStore, type WaitOptions } from '@slip/kv-core'
import { bindingOf } from '../manifest-binding.ts'
import type { Manifest } from '../manifest.ts'
import { payloadName, remoteNames } from '../remote/remote-names.ts'
import { positionOf, readPointer } from '../remote/remote-pointer.ts'
import type { ExportRoundOptions } from './run-export-round.ts'

/** What is published, where an export of the fold would say the same. */
export interface UnchangedArtifact {
  readonly manifest: Manifest
  /** The objects' names. */
  readonly pointer: string
  readonly payload: string
}

/** undefined where the fold has something new, and where what is published is not all there, or old enough. */
export async function unchangedArtifact(options: ExportRoundOptions): Promise<UnchangedArtifact | undefined> {
  const { to, name, signal, source, refreshMs = 0, lease } = options
  if (refreshMs === 0) return undefined
  const fold = await stateOf(options)
  const names = remoteNames(name)
  const found = await readPointer(to, names.pointer, { signal })
  if (found?.manifest === undefined) return undefined
  const { manifest, bytes } = found
  const pointer = positionOf(manifest)
  const ageMs = (lease.now ?? Date.now)() - manifest.createdAtUnix * 1000
  const artifact = { ...pointer, entries: manifest.entries }
  if (!protocol.isPublished({ fold, artifact, ageMs, refreshMs })) return undefined
  if (protocol.publish({ candidate: fold, pointer, source: await source?.() }) !== 'publish') return undefined
  const payload = await payloadName(names, manifest.cursor, bytes)
  return (await isThere(to, payload, { signal })) ? { manifest, pointer: names.pointer, payload } : undefined
}

async function stateOf({ store, interchange }: ExportRoundOptions): Promise<ExportedState> {
  let state: ExportedState | undefined
  const look = (fold: Exclude<ExportRoundOptions['store'], { exclusive: unknown }>): void => {
    state = {
      family: interchange === undefined ? 'native' : 'interchange',
      cursor: fold.cursor,
      binding: bindingOf(fold.lineage),
      entries: fold.stats?.entries,
    }
  }
  if ('exclusive' in store) await store.exclusive(async (fold) => look(fold))
  else look(store)
  return state!
}

async function isThere(to: ObjectStore, payload: string, wait: WaitOptions): Promise<boolean> {
  for await (const { name } of to.list(payload, wait)) if (name === payload) return true
  return false
}
