import { open as openFile, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Worker } from 'node:worker_threads'
import type { KvUpdate, SnapshotError } from '@slip/kv-core'
import { LmdbSnapshot, verifyLmdb } from '@slip/store-lmdb'
import { expect, test, vi } from 'vitest'
import { BulkMerge } from '../dist/bulk-merge.js'
import { checkFile } from '../dist/file-check.js'
import { nextFold } from '../dist/fold-directory.js'
import { FoldScan, namesOf } from '../dist/fold-scan.js'
import { OpenFold } from '../dist/open-fold.js'
import { expectState, IN_BULK, layersOf } from './flooded.ts'
import { at, del, put, scratch } from './scratch.ts'

test('what is applied while layers are merged is in the merged fold', async () => {
  const path = join(await scratch(), 'fold')
  const store = await LmdbSnapshot.open({ path, durability: 'os', bulk: { ...IN_BULK, runBytes: 2_000_000 } })
  const all: KvUpdate[] = []
  const apply = async (revision: number, batch: KvUpdate[]): Promise<void> => {
    all.push(...batch)
    await store.apply(batch, at(revision), { lineage: Buffer.from(`${revision}`) })
  }
  await apply(
    1,
    Array.from({ length: 40_000 }, (_, i) => put(`k${(i * 7_919) % 40_000}`, `${i}`, 1)),
  )
  const settled = new AbortController()
  const settling = store.settle().finally(() => settled.abort())
  let revision = 1
  while (!settled.signal.aborted) {
    revision++
    await apply(revision, [
      put(`k${revision}`, 'meanwhile', revision),
      del(`k${revision + 20_000}`, revision),
    ])
  }
  await settling
  expect(revision).toBeGreaterThan(2)
  expectState(store, all, 'after the merge')
  expect(store.cursor.revision).toBe(BigInt(revision))
  expect(Buffer.from(store.lineage!).toString()).toBe(`${revision}`)
  await store.close()
  expect(await layersOf(path)).toBeUndefined()
})

test('a merge begins by itself when no more comes, and an end of the store stops it', async () => {
  const path = join(await scratch(), 'fold')
  const flood = Array.from({ length: 3_000 }, (_, i) => put(`k${(i * 7_919) % 3_000}`, `${i}`, 1))
  let store = await LmdbSnapshot.open({ path, durability: 'os', bulk: { ...IN_BULK, calmMs: 1 } })
  await store.apply(flood, at(1))
  await store.close()
  store = await LmdbSnapshot.open({ path, durability: 'os', bulk: { ...IN_BULK, calmMs: 20 } })
  expectState(store, flood, 'before')
  await vi.waitFor(async () => expect(await readdir(path)).toContain('fold-00000002.mdb'), {
    timeout: 20_000,
  })
  await store.apply([put('after', 'v', 2)], at(2))
  expectState(store, [...flood, put('after', 'v', 2)], 'after')
  await store.close()
  expect((await readdir(path)).filter((name) => name.endsWith('.mdb'))).toHaveLength(1)
})

test('a damaged run is found by the check of records, and never merged', async () => {
  const { path, flood } = await layeredFold()
  expect((await layersOf(path))?.runs).toBeGreaterThan(2)
  const name = (await readdir(path)).find((file) => file.endsWith('.mdb'))!
  const file = await openFile(join(path, name), 'r+')
  const { buffer } = await file.read({ buffer: Buffer.alloc((await file.stat()).size), position: 0 })
  const where = buffer.indexOf('value 7 value 7')
  await file.write(Buffer.from('V'), 0, 1, where)
  expect(await verifyLmdb(path)).toMatchObject({ verdict: 'corrupt' })
  await file.write(Buffer.from('v'), 0, 1, where)
  expect(await verifyLmdb(path)).toMatchObject({ verdict: 'intact' })

  const store = await LmdbSnapshot.open({ path, durability: 'os', bulk: IN_BULK })
  const page = where - (where % 4096)
  await file.write(Buffer.alloc(4096), 0, 4096, page)
  await expect(store.settle()).rejects.toMatchObject({ code: 'Corrupted', at: page })
  await file.write(buffer, page, 4096, page)
  await file.close()
  await store.settle()
  expectState(store, flood, 'mended and merged')
  await store.close()
})

test('damage that a merge meets by itself is looked for at once, and found', async () => {
  const { path } = await layeredFold()
  const file = join(path, 'fold-00000001.mdb')
  const bytes = await readFile(file)
  const where = bytes.indexOf('value 7 value 7')
  bytes.fill(0, where - (where % 4096), where - (where % 4096) + 4096)
  await writeFile(file, bytes)
  // A walk that would not begin before a minute is over.
  const store = await LmdbSnapshot.open({
    path,
    durability: 'os',
    bulk: { ...IN_BULK, calmMs: 20 },
    walk: { everyMs: 600_000 },
  })
  const damage = await Promise.race([
    new Promise<SnapshotError>((resolve) => store.whenDamaged(resolve)),
    delay(50_000, undefined, { ref: false }),
  ])
  expect(damage).toMatchObject({ code: 'Corrupted', path: file, at: where - (where % 4096) })
  await store.close()
}, 120_000)

test('a writer that lost the fold while it merged does not publish what it merged', async () => {
  const { path, name, open, place } = await twoKeysInLayers()
  const fold = await open()
  const merge = await BulkMerge.begin(place, fold)
  await merge.merged
  // Another that came past the lock, as one on another machine could.
  const usurper = await open()
  await usurper.apply([put('a', 'theirs', 2)], at(2), {})
  await expect(merge.finish()).rejects.toMatchObject({ code: 'Busy' })
  // The end of a store that comes while it is about to be used, which then fails.
  merge.keep(true)
  await merge.end()
  merge.keep(false)
  await merge.end()
  await fold.close()
  await usurper.close()
  expect((await readdir(path)).filter((file) => file.endsWith('.mdb'))).toEqual([name])
  const reopened = await LmdbSnapshot.open({ path, bulk: IN_BULK })
  expectState(reopened, [put('b', '1', 1), put('a', 'theirs', 2)], 'after')
  await reopened.close()
})

test('a complete fold is read and merged after the thread that wrote it has ended, and its memory is free', async () => {
  const { path, open, place } = await twoKeysInLayers()
  const threads: string[] = []
  const count = (worker: Worker): void => {
    const number = threads.push('runs') - 1
    worker.once('exit', () => (threads[number] = 'ended'))
  }
  process.on('worker', count)
  const fold = await open()
  const merge = await BulkMerge.begin(place, fold, { complete: true })
  process.off('worker', count)
  expect(threads).toEqual(['ended', 'runs'])
  await expect(fold.apply([put('c', '1', 2)], at(2), {})).rejects.toMatchObject({ code: 'Closed' })
  await merge.merged
  expect([...new FoldScan(fold.cut, fold.cut.data, namesOf, '', {})]).toEqual(['a', 'b'])
  const merged = await merge.finish()
  merge.keep(true)
  await merge.end()
  await fold.close()
  expect(await checkFile(join(path, merged!.name), 'records', { named: true })).toMatchObject({ entries: 2 })
})

/** A closed fold of two keys, in layers, and what it takes to open and merge it. */
async function twoKeysInLayers(): Promise<{
  readonly path: string
  readonly name: string
  readonly open: () => Promise<OpenFold>
  readonly place: Parameters<typeof BulkMerge.begin>[0]
}> {
  const path = join(await scratch(), 'fold')
  const store = await LmdbSnapshot.open({ path, durability: 'os', bulk: IN_BULK })
  await store.apply([put('a', '1', 1), put('b', '1', 1)], at(1))
  await store.close()
  const [, , name, id] = (await readFile(join(path, 'CURRENT'), 'latin1')).split(' ')
  const start = { file: join(path, name!), foldId: Buffer.from(id!, 'hex'), bulk: IN_BULK }
  const how = { make: false, check: 'head', synced: false, isRead: true, maxReaders: 512 } as const
  return {
    path,
    name: name!,
    open: async () => OpenFold.open({ ...start, ...how }),
    place: { directory: path, options: { path }, nextFold: async () => nextFold(path) },
  }
}

/** A closed fold of 2,000 keys, in layers. */
async function layeredFold(): Promise<{ readonly path: string; readonly flood: KvUpdate[] }> {
  const path = join(await scratch(), 'fold')
  const flood = Array.from({ length: 2_000 }, (_, i) =>
    put(`k${(i * 7_919) % 2_003}`, Buffer.alloc(60, `value ${i} `), 1),
  )
  const store = await LmdbSnapshot.open({ path, durability: 'os', bulk: IN_BULK })
  for (let i = 0; i < 10; i++) await store.apply(flood.slice(i * 200, (i + 1) * 200), at(i + 1))
  await store.close()
  return { path, flood }
}
