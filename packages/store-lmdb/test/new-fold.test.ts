import { open, readdir, stat } from 'node:fs/promises'
import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import type { FoldUpdates, KvUpdate, PayloadFile } from '@slip/kv-core'
import { lmdb, lmdbPayload, LmdbReader, LmdbSnapshot, verifyLmdb } from '@slip/store-lmdb'
import { expect, test } from 'vitest'
import { expectState, IN_BULK, layersOf, stateOf } from './flooded.ts'
import { at, del, put, scratch, seededRandom } from './scratch.ts'

const LINEAGE = Buffer.from('lineage')

function history(what: string): KvUpdate[][] {
  const random = seededRandom(what)
  return Array.from({ length: 60 }, (_, i) =>
    Array.from({ length: 1 + random(60) }, () => {
      const key = `k.${random(1_500)}`
      return random(5) === 0 ? del(key, i + 1) : put(key, 'v'.repeat(random(200)) + i, i + 1)
    }),
  )
}

function foldOf(batches: readonly (readonly KvUpdate[])[]): FoldUpdates {
  return {
    cursor: at(60),
    lineage: LINEAGE,
    read: async (take) => {
      for (const batch of batches) await take(batch)
    },
  }
}

test('a fold made of updates in random order has nothing left to merge', async () => {
  const path = join(await scratch(), 'fold')
  const batches = history('created')
  const location = lmdb({ path, durability: 'os', bulk: IN_BULK })
  await location.create!(foldOf(batches))
  expect(await layersOf(path)).toBeUndefined()
  expect((await readdir(path)).filter((name) => !name.endsWith('-lock'))).toEqual([
    'CURRENT',
    'fold-00000002.mdb',
  ])
  const { live } = stateOf(batches.flat())
  expect(await verifyLmdb(path)).toMatchObject({ verdict: 'intact', entries: live.length })
  const store = await location.open()
  expectState(store, batches.flat(), 'after it was made')
  expect([store.cursor.revision, Buffer.from(store.lineage!)]).toEqual([60n, LINEAGE])
  await store.close()
})

test('updates that fail or that end in the middle leave nothing', async () => {
  const directory = await scratch()
  const batches = history('broken')
  const location = lmdb({ path: join(directory, 'fold'), bulk: IN_BULK })
  const failing = {
    ...foldOf(batches),
    read: async (take: (updates: readonly KvUpdate[]) => Promise<void>) => {
      for (const batch of batches.slice(0, 30)) await take(batch)
      throw new Error('the source is broken')
    },
  }
  await expect(location.create!(failing)).rejects.toThrow()
  const aborted = new AbortController()
  const aborting = {
    ...foldOf(batches),
    read: async (take: (updates: readonly KvUpdate[]) => Promise<void>) => {
      for (const [i, batch] of batches.entries()) {
        if (i === 30) aborted.abort()
        await take(batch)
      }
    },
  }
  await expect(location.create!(aborting, { signal: aborted.signal })).rejects.toMatchObject({
    name: 'AbortError',
  })
  expect(await readdir(directory)).toEqual([])
  expect(await location.exists()).toBe(false)
})

test('the copy of a fold in layers is received, and read as updates, as what it is', async () => {
  const directory = await scratch()
  const batches = history('copied')
  const store = await LmdbSnapshot.open({
    path: join(directory, 'source'),
    durability: 'os',
    bulk: IN_BULK,
    walk: false,
  })
  for (const [i, batch] of batches.entries())
    await store.apply(batch, at(i + 1), i === 0 ? { lineage: LINEAGE } : {})
  const copy = join(directory, 'copy')
  await store.copyTo(copy)
  await store.close()
  expect((await layersOf(copy))?.runs).toBeGreaterThan(1)
  const { live } = stateOf(batches.flat())
  const facts = await lmdbPayload.check(copy, '2')
  expect(facts).toMatchObject({ entries: live.length, lineage: new Uint8Array(LINEAGE) })
  expect(facts.cursor.revision).toBe(60n)
  const path = join(copy, 'fold.mdb')
  const { size } = await stat(path)
  const file: PayloadFile = { name: 'fold.mdb', size, read: () => createReadStream(path) }
  const received = lmdb({ path: join(directory, 'received'), durability: 'os' })
  await received.receive!([file])
  const created = lmdb({ path: join(directory, 'created'), durability: 'os' })
  await created.create!({ ...facts, read: async (take) => lmdbPayload.updates(copy, '2', take) })
  for (const location of [received, created]) {
    const opened = await location.open()
    expectState(opened, batches.flat(), 'elsewhere')
    await opened.close()
  }
})

test('a reader copies nothing of a damaged fold', async () => {
  const directory = await scratch()
  const path = join(directory, 'fold')
  const store = await LmdbSnapshot.open({ path, durability: 'os' })
  await store.apply(
    Array.from({ length: 2_000 }, (_, i) => put(`k.${i}`, 'v'.repeat(100), i + 1)),
    at(2_000),
  )
  await store.close()
  const reader = await LmdbReader.open({ path })
  const file = await open(join(path, 'fold-00000001.mdb'), 'r+')
  for (let page = 2; page < 40; page++) await file.write(Buffer.alloc(4_096, 0xff), 0, 4_096, page * 4_096)
  await file.close()
  await expect(reader.copyTo(join(directory, 'copy'))).rejects.toMatchObject({ code: 'Corrupted' })
  await reader.close()
})

test('applies wait for no part of a copy', async () => {
  const directory = await scratch()
  const path = join(directory, 'fold')
  const store = await LmdbSnapshot.open({ path, durability: 'os' })
  await store.apply([put('a', 'v', 1)], at(1))
  const reader = await LmdbReader.open({ path })
  for (const fold of [store, reader]) {
    let pinned = false
    const copying = fold.copyTo(join(directory, fold === store ? 'copy' : 'copy-2'), {
      onPinned: () => {
        pinned = true
      },
    })
    expect(pinned).toBe(true)
    await store.apply([put('b', 'v', 2)], at(2))
    expect((await copying).cursor.revision).toBeGreaterThan(0n)
  }
  await reader.close()
  await store.close()
})
