import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { KvUpdate } from '@slip/kv-core'
import { LmdbReader, LmdbSnapshot, verifyLmdb } from '@slip/store-lmdb'
import { expect, test } from 'vitest'
import { expectState, IN_BULK, layersOf, shown, stateOf } from './flooded.ts'
import { at, del, put, scratch, seededRandom } from './scratch.ts'

const READER = fileURLToPath(new URL('reader-child.mjs', import.meta.url))

test('keys and values of every kind are read through layers, through a reopen, and after the merge', async () => {
  const path = join(await scratch(), 'fold')
  const random = seededRandom('layers')
  const long = (length: number, tail: string): string => 'l'.repeat(length - tail.length) + tail
  const names = [
    ...Array.from({ length: 300 }, (_, i) => `k.${i}`),
    '\u00e9',
    '\u00fc.x',
    '\ue000',
    '\u{1f600}.smile',
    '\uffff',
    'l\u00e9',
    ...[1, 478, 479, 480, 511, 1_978, 1_979, 4_000, 65_535].map((length) => long(length, `${length % 10}`)),
    long(600, 'b'),
    long(600, 'a'),
  ]
  const sizes = [0, 1, 200, 1_900, 2_100, 5_000, 100_000]
  let store = await LmdbSnapshot.open({ path, durability: 'os', bulk: IN_BULK })
  const all: KvUpdate[] = []
  for (let revision = 1; revision <= 120; revision++) {
    const batch = Array.from({ length: 1 + random(20) }, () => {
      const key = names[random(names.length)]!
      if (random(4) === 0) return del(key, revision)
      return put(key, 'v'.repeat(sizes[random(revision % 30 === 0 ? 7 : 4)]!) + revision, revision)
    })
    all.push(...batch)
    await store.apply(batch, at(revision), { lineage: Buffer.from(`${revision}`) })
    if (revision % 40 === 0) expectState(store, all, `at ${revision}`)
    if (revision === 60) {
      await store.close()
      expect((await layersOf(path))?.runs).toBeGreaterThan(2)
      expect(await verifyLmdb(path)).toMatchObject({ verdict: 'intact', entries: stateOf(all).live.length })
      store = await LmdbSnapshot.open({ path, durability: 'os', bulk: IN_BULK })
      expectState(store, all, 'after a reopen')
    }
  }
  const view = store.view()
  const before = stateOf(all).live
  all.push(put('k.1', 'later', 121), put('new', 'v', 121))
  await store.apply(all.slice(-2), at(121))
  await store.settle()
  expect(shown(view)).toEqual(before)
  view.close()
  expectState(store, all, 'after the merge')
  expect(store.cursor.revision).toBe(121n)
  expect(Buffer.from(store.lineage!).toString()).toBe('120')
  // The one that was replaced is removed when it is closed.
  await store.close()
  expect(await layersOf(path)).toBeUndefined()
  expect(await verifyLmdb(path)).toMatchObject({ verdict: 'intact' })
  store = await LmdbSnapshot.open({ path, durability: 'os', bulk: IN_BULK })
  expectState(store, all, 'reopened after the merge')
  await store.close()
})

test('small folds, keys in order, and updates of keys that are there are put where they belong', async () => {
  const bulk = { fromEntries: 1_000, batchUpdates: 100, runBytes: 30_000, calmMs: 600_000 }
  const layeredAfter = async (batches: (i: number) => string[], count: number): Promise<boolean> => {
    const path = join(await scratch(), 'fold')
    const store = await LmdbSnapshot.open({ path, durability: 'os', bulk })
    for (let i = 1; i <= count; i++)
      await store.apply(
        batches(i).map((key) => put(key, 'v', i)),
        at(i),
      )
    await store.close()
    return (await layersOf(path)) !== undefined
  }
  const name = (number: number): string => `k${String(number).padStart(6, '0')}`
  const batchOf = (size: number, key: (j: number) => number) => (i: number) =>
    Array.from({ length: size }, (_, j) => name(key((i - 1) * size + j)))
  const mixed = (number: number): number => (number * 7_919) % 100_003
  expect(await layeredAfter(batchOf(200, mixed), 10)).toBe(true)
  expect(await layeredAfter(batchOf(200, mixed), 4), 'few keys').toBe(false)
  expect(await layeredAfter(batchOf(50, mixed), 40), 'small batches').toBe(false)
  expect(
    await layeredAfter(
      batchOf(200, (number) => number),
      10,
    ),
    'in order',
  ).toBe(false)
  expect(
    await layeredAfter(
      batchOf(200, (number) => mixed(number % 900)),
      20,
    ),
    'the same keys',
  ).toBe(false)
})

test('a reader sees every commit of a hydration, and the merged fold after it', async () => {
  const path = join(await scratch(), 'fold')
  const store = await LmdbSnapshot.open({ path, durability: 'os', bulk: IN_BULK })
  const commit = (revision: number): KvUpdate[] =>
    Array.from({ length: 40 }, (_, i) => put(`k${(i * 17) % 40}`, `${revision}`, revision))
  await store.apply(commit(1), at(1))
  const child = spawn(process.execPath, [READER, path, '4000'], { stdio: ['ignore', 'pipe', 'inherit'] })
  let said = ''
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()))
  const ended = once(child, 'close')
  await once(child.stdout, 'data')
  let revision = 1
  while (child.exitCode === null) {
    revision++
    await store.apply(commit(revision), at(revision))
    if (revision % 60 === 0) await store.settle()
  }
  await ended
  const { wrong, cursors, views } = JSON.parse(said.trim().split('\n').at(-1)!) as {
    readonly wrong: string[]
    readonly cursors: number
    readonly views: number
  }
  expect(wrong).toEqual([])
  expect(cursors).toBeGreaterThan(1)
  console.log(`${revision} commits, ${views} views of ${cursors} of them`)
  const reader = await LmdbReader.open({ path })
  await store.settle()
  await reader.waitFor(BigInt(revision))
  expect(shown(reader)).toEqual(stateOf(commit(revision)).live)
  await reader.close()
  await store.close()
})

test('a staged fold that is filled in bulk says what it has, is invisible, and is merged when it is committed', async () => {
  const path = join(await scratch(), 'fold')
  const store = await LmdbSnapshot.open({ path, durability: 'batch', bulk: IN_BULK })
  await store.apply([put('old', 'v', 1), put('k1', 'old', 1)], at(1))
  await store.settle()
  const staged = await store.stage()
  const all: KvUpdate[] = []
  for (let i = 1; i <= 20; i++) {
    const batch: KvUpdate[] = Array.from({ length: 200 }, (_, j) =>
      put(`k${((i * 200 + j) * 7_919) % 5_003}`, `${i}`, i),
    )
    if (i > 2) batch.push(del(batch[0]!.key, i))
    all.push(...batch)
    await staged.apply(batch, at(100 + i), { lineage: Buffer.from(`${i}`) })
  }
  const { live, deleted } = stateOf(all)
  for (const [key] of live) expect(staged.has(key), key).toBe(true)
  for (const key of [...deleted, 'old', 'k']) expect(staged.has(key), key).toBe(false)
  expect(shown(store)).toEqual([
    ['k1', 'old'],
    ['old', 'v'],
  ])
  await staged.commit()
  expectState(store, all, 'after the commit')
  expect([store.cursor.revision, store.durableCursor.revision]).toEqual([120n, 120n])
  const again = await store.stage()
  await again.apply(all.slice(0, 1_000), at(200))
  await store.close()
  expect(await layersOf(path)).toBeUndefined()
  expect(await verifyLmdb(path)).toMatchObject({ verdict: 'intact', entries: live.length })
})
