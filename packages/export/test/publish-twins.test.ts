import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ObjectStore } from '@slip/kv-core'
import { directoryObjects, downloadArtifact, pruneArtifacts, publishArtifact } from '@slip/export'
import { expect, test } from 'vitest'
import { bytesOf, filesOf, type PlainList } from './part-archives.ts'
import { ChangingFold, range } from './parts.ts'
import { namesIn, overStore } from './remote.ts'
import { scratch } from './scratch.ts'

interface Race {
  readonly honest: ObjectStore
  readonly first: string
  readonly between: string
  readonly newest: string
  readonly close: () => Promise<void>
}

/** Three artifacts, one position after the other: the last one is little more than the first, the one between is all new. */
async function race(): Promise<Race> {
  const [fold, other] = [await ChangingFold.open(200), await ChangingFold.open(201)]
  await fold.change(range(1, 300))
  await other.change(range(1, 301))
  const first = (await fold.export()).directory
  const between = (await other.export()).directory
  await fold.change([5, 6])
  const newest = (await fold.export()).directory
  return {
    honest: directoryObjects(await scratch()),
    first,
    between,
    newest,
    close: async () => {
      for (const each of [fold, other]) await each.store.close()
    },
  }
}

/** What a newcomer gets is the payload of this artifact. */
async function mustResolve(store: ObjectStore, artifact: string): Promise<void> {
  const down = join(await scratch(), 'down')
  await downloadArtifact(store, 'routes', down)
  for (const file of ['MANIFEST.json', 'data/fold.records'])
    expect((await readFile(join(down, file))).equals(await readFile(join(artifact, file)))).toBe(true)
}

/** Runs `meanwhile` before the first object of such a name is put. */
function before(
  store: ObjectStore,
  isIt: (name: string) => boolean,
  meanwhile: () => Promise<void>,
): ObjectStore {
  let begun = false
  return overStore(store, {
    put: async (name, body, options) => {
      if (isIt(name) && !begun) {
        begun = true
        await meanwhile()
      }
      return store.put(name, body, options)
    },
  })
}

const listOf = async (store: ObjectStore, payload: string): Promise<PlainList> =>
  JSON.parse(
    filesOf(await bytesOf(store, payload))
      .get('PARTS.json')!
      .toString(),
  ) as PlainList

async function listsIn(store: ObjectStore): Promise<PlainList[]> {
  return Promise.all((await namesIn(store, 'routes.payloads/')).map(async (name) => listOf(store, name)))
}

test('of two who publish one artifact, the slow one leaves what the quick one put for it', async () => {
  const { honest, first, between, newest, close } = await race()
  await publishArtifact(first, honest, 'routes')
  let swapped = false
  const slow = before(
    honest,
    (name) => name.endsWith('.tar'),
    async () => {
      await publishArtifact(between, honest, 'routes')
      await pruneArtifacts(honest, 'routes', { graceMs: 0 })
      await publishArtifact(newest, honest, 'routes')
      swapped = true
      await mustResolve(honest, newest)
    },
  )
  expect(await publishArtifact(newest, slow, 'routes')).toMatchObject({ outcome: 'published' })
  expect(swapped).toBe(true)
  await mustResolve(honest, newest)
  await pruneArtifacts(honest, 'routes', { graceMs: 0 })
  await mustResolve(honest, newest)
  await close()
})

test('whose list is overtaken before the swap sends a base, and names what it had listed', async () => {
  const { honest, first, between, newest, close } = await race()
  await publishArtifact(first, honest, 'routes')
  const [old] = await listsIn(honest)
  let overtaken = false
  const slow = before(
    honest,
    (name) => name.endsWith('.manifest.json'),
    async () => {
      await publishArtifact(between, honest, 'routes')
      await pruneArtifacts(honest, 'routes', { graceMs: 0 })
      overtaken = true
    },
  )
  const { outcome, payload } = await publishArtifact(newest, slow, 'routes')
  expect([outcome, overtaken]).toEqual(['published', true])
  const list = await listOf(honest, payload)
  expect(list.layers).toEqual([])
  expect(list.kept).toEqual(expect.arrayContaining(old!.base.map(({ part }) => part)))
  expect(list.kept).toHaveLength(old!.base.length + 2)
  await mustResolve(honest, newest)
  await pruneArtifacts(honest, 'routes', { graceMs: 0 })
  await mustResolve(honest, newest)
  await close()
})

test('nothing is taken over of what is only kept, and the next artifact keeps nothing', async () => {
  const { honest, first, between, newest, close } = await race()
  await publishArtifact(first, honest, 'routes')
  const overtaken = before(
    honest,
    (name) => name.endsWith('.tar'),
    async () => {
      await publishArtifact(between, honest, 'routes')
      await pruneArtifacts(honest, 'routes', { graceMs: 0 })
    },
  )
  const fold = await ChangingFold.open()
  for (const keys of [range(1, 300), [5, 6], [7]]) await fold.change(keys)
  const next = (await fold.export()).directory
  let kept: string[] = []
  const slow = before(
    honest,
    (name) => name.startsWith('routes.parts/'),
    async () => {
      kept = (await listOf(honest, (await publishArtifact(newest, overtaken, 'routes')).payload)).kept
    },
  )
  const { payload } = await publishArtifact(next, slow, 'routes')
  expect(kept).not.toEqual([])
  expect((await listOf(honest, payload)).kept).toEqual([])
  await mustResolve(honest, next)
  await pruneArtifacts(honest, 'routes', { graceMs: 0 })
  await mustResolve(honest, next)
  await fold.store.close()
  await close()
})

test('who prunes deletes no part once the pointer moved while lists were read', async () => {
  const { honest, first, between, newest, close } = await race()
  await publishArtifact(first, honest, 'routes')
  const { payload } = await publishArtifact(between, honest, 'routes')
  const parts = await namesIn(honest, 'routes.parts/')
  let moved = false
  const store = overStore(honest, {
    get: async (name, options) => {
      const found = await honest.get(name, options)
      if (name === payload && !moved) {
        moved = true
        await publishArtifact(newest, honest, 'routes')
      }
      return found
    },
  })
  await pruneArtifacts(store, 'routes', { graceMs: 0 })
  expect(moved).toBe(true)
  expect(await namesIn(honest, 'routes.parts/')).toEqual(expect.arrayContaining(parts))
  await mustResolve(honest, newest)
  await pruneArtifacts(honest, 'routes', { graceMs: 0 })
  expect((await namesIn(honest, 'routes.parts/')).length).toBeLessThan(parts.length)
  await mustResolve(honest, newest)
  await close()
})
