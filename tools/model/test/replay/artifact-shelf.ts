import { join } from 'node:path'
import { encodeLineage, VersionToken, type Binding } from '@slip/kv-core'
import { exportSnapshot, publishArtifact } from '@slip/export'
import type { ArtifactsShape } from '@slip/model'
import { appendLog } from '@slip/store-applog'
import { GatedActor, type Objects } from './gated-objects.ts'

export const NAME = 'fleet/fold'
export const POINTER = `${NAME}.manifest.json`
const BINDING: Omit<Binding, 'incarnation'> = {
  kind: 'model',
  name: 'bucket',
  scope: [''],
  whenEvicted: 'drop',
  evictionSeen: false,
}

/** An artifact of a model, exported by the code: no two are the same. */
export interface ShelvedArtifact {
  readonly directory: string
  readonly pointer: Uint8Array
  readonly payload: string
  /** What its fold says of itself. */
  readonly value: string
}

/** Every artifact that a model has, by its number. */
export async function shelved(
  shape: ArtifactsShape,
  root: string,
): Promise<ReadonlyMap<number, ShelvedArtifact>> {
  const shelf = new Map<number, ShelvedArtifact>()
  for (const artifact of shape.artifacts) {
    const value = shape.show(artifact)
    const cursor = shape.revision(shape.cursorOf(artifact))
    const lineage = encodeLineage({
      binding: { ...BINDING, incarnation: shape.incarnation(shape.eraOf(artifact)) },
      anchors: [],
    })
    const version = VersionToken.fromRevision(BigInt(shape.cursorOf(artifact)))
    const store = await appendLog({ path: join(root, `fold-${artifact}`) }).open()
    await store.apply(
      [{ operation: 'put', key: 'key', value: new TextEncoder().encode(value), version }],
      cursor,
      { lineage },
    )
    const directory = join(root, `artifact-${artifact}`)
    await exportSnapshot(store, directory)
    await store.close()
    shelf.set(artifact, { directory, value, ...(await published(directory)) })
  }
  return shelf
}

/** What publishing makes of it. */
async function published(directory: string): Promise<Pick<ShelvedArtifact, 'pointer' | 'payload'>> {
  const objects: Objects = new Map()
  const actor = new GatedActor(objects, POINTER)
  let payload = ''
  await actor.begin(async () => {
    payload = (await publishArtifact(directory, actor.store, NAME)).payload
  })
  while (actor.call !== undefined) await actor.pass(actor.call)
  if (actor.failure !== undefined) throw actor.failure
  return { pointer: objects.get(POINTER)!, payload }
}
