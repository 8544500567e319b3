import { join } from 'node:path'
import { encodeLineage, VersionToken, type KvUpdate, type PublishInput } from '@slip/kv-core'
import { exportSnapshot, publishArtifact, type Manifest } from '@slip/export'
import type { PartsShape } from '@slip/model'
import { appendLog } from '@slip/store-applog'
import { GatedActor, type Asked, type Call, type Objects } from './gated-objects.ts'
import { archivedList, type ArchivedList } from './parts-archived.ts'

export const NAME = 'fleet/fold'
export const POINTER = `${NAME}.manifest.json`
export const PAYLOADS = `${NAME}.payloads/`
export const PARTS = `${NAME}.parts/`
/** So many that a change of one is worth a layer. */
const KEYS = 60
/** The name of a part that the code never makes. */
const NEVER = 'never'
const CREATED_MS = Date.parse('2026-01-05T00:00:00Z')

/** An artifact of a model, exported by the code. */
export interface ShelvedArtifact {
  readonly directory: string
  readonly pointer: Uint8Array
  /** The object of its list. */
  readonly archive: string
  readonly digest: string
}

/** The artifacts of a model and what becomes of them in a store, both ways round. */
export interface PartsShelf {
  /** By its number. */
  readonly artifacts: ReadonlyMap<number, ShelvedArtifact>
  /** Of each part of the model the names of its objects: of a base its records, and their hashes. */
  readonly names: readonly (readonly string[])[]
  readonly stateOf: ReadonlyMap<string, number>
}

/** What a call of publishing, pruning or downloading in parts is. */
export function callOf({ does, name, length }: Asked): Call | undefined {
  if (name === POINTER) return does === 'get' ? 'pointer read' : 'pointer moved'
  if (name.startsWith(PAYLOADS)) return does === 'get' ? 'list read' : does === 'put' ? 'list put' : undefined
  if (does === 'delete') return 'part deleted'
  if (does === 'put') return 'part sent'
  return length === 1 ? 'part looked for' : 'part read'
}

/** Exports every artifact of a model: those of one state have one payload, each in a second of its own. */
export async function shelvedParts(shape: PartsShape, root: string): Promise<PartsShelf> {
  const artifacts = new Map<number, ShelvedArtifact>()
  const stateOf = new Map<string, number>()
  for (const artifact of shape.artifacts) {
    const state = shape.stateOf(artifact)
    const directory = join(root, `artifact-${artifact}`)
    const { files } = await exported(shape, state, directory, artifact)
    const digest = files[0]!.blake3
    stateOf.set(digest, state)
    const objects: Objects = new Map()
    const { payload: archive } = await alone(shape, state, objects, directory)
    artifacts.set(artifact, { directory, archive, digest, pointer: objects.get(POINTER)! })
  }
  return { artifacts, stateOf, names: await partNames(shape, artifacts) }
}

async function exported(
  shape: PartsShape,
  state: number,
  directory: string,
  artifact: number,
): Promise<Manifest> {
  const { cursor, binding } = shape.position(shape.artifacts.find((each) => shape.stateOf(each) === state)!)
  const lineage = encodeLineage({ binding: binding!, anchors: [] })
  const store = await appendLog({ path: `${directory}.fold` }).open()
  const version = VersionToken.fromRevision(cursor.revision!)
  const updates: KvUpdate[] = Array.from({ length: KEYS }, (_, key) => ({
    operation: 'put',
    key: `key.${key}`,
    // One key of each state is its own.
    value: new TextEncoder().encode(`${key === state ? `of state ${state}` : 'of all'} `.repeat(8)),
    version: key === state ? version : VersionToken.fromRevision(1n),
  }))
  await store.apply(updates, cursor, { lineage })
  const { now } = Date
  Date.now = () => CREATED_MS + 1000 * artifact
  try {
    return await exportSnapshot(store, directory, { layout: 'records' })
  } finally {
    Date.now = now
    await store.close()
  }
}

/** Publishes while nobody else does anything, and the bucket is in the history of the state. */
async function alone(
  shape: PartsShape,
  state: number,
  objects: Objects,
  directory: string,
): ReturnType<typeof publishArtifact> {
  const actor = new GatedActor(objects, POINTER, () => undefined)
  const source = async (): Promise<PublishInput['source']> => shape.described(shape.eraOf(state))
  return publishArtifact(directory, actor.store, NAME, { source })
}

/** Publishes the states of each list one after the other, and looks what the parts are called. */
async function partNames(
  shape: PartsShape,
  artifacts: ReadonlyMap<number, ShelvedArtifact>,
): Promise<readonly (readonly string[])[]> {
  const { parts, contents } = shape.lists
  const names: (readonly string[])[] = []
  for (const { chain, kept } of contents) {
    if (chain.length === 0 || kept.length > 0) continue
    const objects: Objects = new Map()
    let list: ArchivedList | undefined
    for (const part of chain) {
      const state = parts[part]!.to
      const artifact = shape.artifacts.find((each) => shape.stateOf(each) === state)!
      const { directory, archive } = artifacts.get(artifact)!
      await alone(shape, state, objects, directory)
      list = archivedList(objects.get(archive)!)
    }
    if (list!.layers.length + 1 !== chain.length) {
      // Where only the source tells the histories apart nothing is laid upon what is of another one.
      const isOneHistory = new Set(chain.map((part) => shape.eraOf(parts[part]!.to))).size === 1
      if (isOneHistory) throw new Error(`${shape.lists.showPart(chain.at(-1)!)} was not laid as a layer`)
      for (const part of chain) names[part] ??= [NEVER]
      continue
    }
    const found = [
      [...list!.base.map(({ part }) => part), list!.index.part],
      ...list!.layers.map(({ part }) => [part]),
    ]
    for (const [i, part] of chain.entries()) names[part] = found[i]!
  }
  return names
}
