import { execFile, spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { LmdbReader, LmdbSnapshot, verifyLmdb } from '@slip/store-lmdb'
import { expect, test, vi } from 'vitest'
import { openEnvironment } from '../dist/environment.js'
import { LockFile } from '../dist/lock-file.js'
import { commit as inTransaction } from '../dist/newest-commit.js'
import { OpenFold } from '../dist/open-fold.js'
import { IN_BULK, shown } from './flooded.ts'
import { at, put, scratch } from './scratch.ts'

const OPENER = fileURLToPath(new URL('opener-child.mjs', import.meta.url))
const COMMITS = 2_000
const RUNS = 400

/** Each commit gives every key its own revision, so that one that was taken back shows. */
function commit(revision: number): ReturnType<typeof put>[] {
  return Array.from({ length: 20 }, (_, i) => put(`k${i}`, `${revision}`, revision))
}

async function fileIn(path: string): Promise<string> {
  return join(path, (await readFile(join(path, 'CURRENT'), 'latin1')).split(' ')[2]!)
}

/** Lets transactions begin that many commits before the newest, as somebody may who opens the file elsewhere. */
async function setBack(path: string, by: number): Promise<void> {
  await promisify(execFile)(process.execPath, [OPENER, `${await fileIn(path)}-lock`, `${by}`])
}

/** Somebody who opens the file elsewhere again and again. */
async function keepOpening(path: string): Promise<() => void> {
  const child = spawn(process.execPath, [OPENER, `${await fileIn(path)}-lock`], { stdio: 'inherit' })
  return () => void child.kill('SIGKILL')
}

function expectCommit(fold: LmdbSnapshot | LmdbReader, revision: number, keys = 20): void {
  expect(fold.cursor).toEqual(at(revision))
  expect(new Set(shown(fold).map(([, value]) => value))).toEqual(new Set([`${revision}`]))
  expect(shown(fold)).toHaveLength(keys)
}

for (const by of [1, 2, 7])
  test(`a commit that others set back by ${by} is not taken back by the next`, async () => {
    const path = join(await scratch(), 'fold')
    const store = await LmdbSnapshot.open({ path, durability: 'os' })
    for (let revision = 1; revision <= 10; revision++) await store.apply(commit(revision), at(revision))
    await store.apply([put('once', '11', 11)], at(11))
    await setBack(path, by)
    await store.apply([put('later', '12', 12)], at(12))
    expect([store.cursor, store.has('once'), store.has('later')]).toEqual([at(12), true, true])
    await setBack(path, by)
    await store.close()
    expect(await verifyLmdb(path)).toMatchObject({ verdict: 'intact', cursor: at(12), entries: 22 })
  })

test('beside those who open the file all the time each commit shows once it is acknowledged, and stays', async () => {
  const path = join(await scratch(), 'fold')
  const store = await LmdbSnapshot.open({ path, durability: 'os' })
  await store.apply(commit(1), at(1))
  const reader = await LmdbReader.open({ path })
  const stops = await Promise.all([keepOpening(path), keepOpening(path)])
  let last = 1n
  try {
    for (let revision = 2; revision <= COMMITS; revision++) {
      await store.apply(commit(revision), at(revision))
      expectCommit(store, revision)
      const seen = reader.refresh().revision!
      expect(seen).toBeGreaterThanOrEqual(last)
      expectCommit(reader, Number(seen))
      last = seen
    }
  } finally {
    for (const stop of stops) stop()
  }
  await reader.close()
  await store.close()
  expect(await verifyLmdb(path)).toMatchObject({ verdict: 'intact', cursor: at(COMMITS) })
}, 120_000)

test('batches that a bulk fill keeps, makes runs of and merges are all there', async () => {
  const path = join(await scratch(), 'fold')
  const store = await LmdbSnapshot.open({ path, durability: 'os', bulk: { ...IN_BULK, runBytes: 1 } })
  const stops = await Promise.all([keepOpening(path), keepOpening(path)])
  const keys = 5
  try {
    for (let revision = 1; revision <= RUNS; revision++) {
      const batch = Array.from({ length: keys }, (_, i) =>
        put(`r${revision}.k${i}`, 'x'.repeat(40), revision),
      )
      await store.apply(batch, at(revision))
      expect([store.cursor, store.stats.entries]).toEqual([at(revision), keys * revision])
    }
    await store.settle()
  } finally {
    for (const stop of stops) stop()
  }
  expect(shown(store)).toHaveLength(keys * RUNS)
  await store.close()
  expect(await verifyLmdb(path)).toMatchObject({ verdict: 'intact', cursor: at(RUNS), entries: keys * RUNS })
}, 120_000)

test('a fold that others set back before it is filled in bulk, and before its first run, loses nothing', async () => {
  for (let round = 0; round < 4; round++) {
    const path = join(await scratch(), 'fold')
    const bulk = { fromEntries: 10, batchUpdates: 10, runBytes: 64 * 1024 * 1024, calmMs: 600_000 }
    const store = await LmdbSnapshot.open({ path, durability: 'os', bulk })
    const batch = (revision: number): ReturnType<typeof put>[] =>
      Array.from({ length: 20 }, (_, i) => put(`k${(i * 7) % 20}.${revision}`, `${revision}`, revision))
    await store.apply(batch(1), at(1))
    await setBack(path, 1)
    await store.apply(batch(2), at(2))
    expect([store.cursor, shown(store).length]).toEqual([at(2), 40])
    await setBack(path, 1)
    await store.settle()
    expect([store.cursor, shown(store).length]).toEqual([at(2), 40])
    await store.close()
    expect(await verifyLmdb(path)).toMatchObject({ verdict: 'intact', cursor: at(2), entries: 40 })
  }
}, 60_000)

test('the run that was made is listed in what is shown next', async () => {
  const path = await scratch()
  const file = join(path, 'fold.mdb')
  const fold = await OpenFold.open({
    file,
    foldId: new Uint8Array(16),
    make: true,
    check: 'head',
    synced: false,
    isRead: true,
    maxReaders: 8,
    bulk: { ...IN_BULK, runBytes: 64 * 1024 * 1024 },
  })
  const child = spawn(process.execPath, [OPENER, `${file}-lock`], { stdio: 'inherit' })
  try {
    for (let revision = 1; revision <= RUNS; revision++) {
      await fold.apply([put(`k${revision}`, 'x', revision)], at(revision), {})
      await fold.seal()
      const { runs, arrivals } = fold.cut.layers!
      expect([runs.length, arrivals.to - arrivals.from]).toEqual([revision, 0])
    }
  } finally {
    child.kill('SIGKILL')
  }
  await fold.close()
}, 60_000)

test('where nobody writes any more the newest commit is soon shown again', async () => {
  const path = join(await scratch(), 'fold')
  const store = await LmdbSnapshot.open({ path, durability: 'os' })
  for (let revision = 1; revision <= 5; revision++) await store.apply(commit(revision), at(revision))
  const lockFile = LockFile.of(await fileIn(path))!
  const { newest } = lockFile
  await setBack(path, 1)
  await vi.waitFor(() => expect(lockFile.newest).toBe(newest), { timeout: 10_000 })
  for (let opened = 0; opened < 8; opened++) {
    await setBack(path, 1)
    const reader = await LmdbReader.open({ path })
    expectCommit(reader, 5)
    await reader.close()
  }
  await store.close()
})

test('a reader does not go back, whatever it is shown', async () => {
  const path = join(await scratch(), 'fold')
  const store = await LmdbSnapshot.open({ path, durability: 'os' })
  for (let revision = 1; revision <= 5; revision++) await store.apply(commit(revision), at(revision))
  const reader = await LmdbReader.open({ path })
  for (let revision = 6; revision <= 7; revision++) await store.apply(commit(revision), at(revision))
  // Nobody mends it any more.
  await store.close()
  const lockFile = LockFile.of(await fileIn(path))!
  const { newest } = lockFile
  lockFile.newest = newest - 2
  // Of two commits there is a meta page: this number leads to that of the newest.
  expect(reader.refresh()).toEqual(at(7))
  lockFile.newest = newest - 1
  expect(reader.refresh()).toEqual(at(7))
  expectCommit(reader, 7)
  await reader.close()
})

test('a reader stays, and a writer that comes begins at the newest commit', async () => {
  const path = join(await scratch(), 'fold')
  let store = await LmdbSnapshot.open({ path, durability: 'os' })
  for (let revision = 1; revision <= 5; revision++) await store.apply(commit(revision), at(revision))
  const reader = await LmdbReader.open({ path })
  await store.close()
  await setBack(path, 1)
  expect(reader.refresh()).toEqual(at(5))
  expectCommit(reader, 5)
  store = await LmdbSnapshot.open({ path, durability: 'os' })
  expectCommit(store, 5)
  await store.apply(commit(6), at(6))
  expectCommit(store, 6)
  expect(reader.refresh()).toEqual(at(6))
  await reader.close()
  await store.close()
  expect(await verifyLmdb(path)).toMatchObject({ verdict: 'intact', cursor: at(6) })
})

test('what is compacted and copied is the newest commit', async () => {
  const path = join(await scratch(), 'fold')
  const store = await LmdbSnapshot.open({ path, durability: 'os' })
  for (let revision = 1; revision <= 30; revision++) {
    await store.apply(commit(revision), at(revision))
    await setBack(path, 1)
    if (revision % 2 === 0) {
      await store.compact()
      expectCommit(store, revision)
    } else {
      const { cursor } = await store.copyTo(join(path, `../copy-${revision}`))
      expect(cursor).toEqual(at(revision))
    }
  }
  await store.close()
  expect(await verifyLmdb(path)).toMatchObject({ verdict: 'intact', cursor: at(30) })
}, 120_000)

test('the lock file is the one of an open environment', async () => {
  const path = join(await scratch(), 'fold')
  const store = await LmdbSnapshot.open({ path })
  const file = await fileIn(path)
  expect(LockFile.of(file)?.newest).toBeGreaterThan(0)
  expect(LockFile.of(`${file}.not-there`)).toBeUndefined()
  await store.close()
  expect(LockFile.of(file)).toBeUndefined()
})

test('where the lock file is not known nothing is committed that begins at an older commit', async () => {
  const path = join(await scratch(), 'fold')
  const store = await LmdbSnapshot.open({ path, durability: 'os' })
  for (let revision = 1; revision <= 3; revision++) await store.apply(commit(revision), at(revision))
  await store.close()
  const environment = await openEnvironment(await fileIn(path), { synced: false, maxReaders: 8 })
  await setBack(path, 1)
  let ran = 0
  const work = (): void => void ran++
  expect(() => inTransaction({ ...environment, lockFile: undefined }, work)).toThrow(
    expect.objectContaining({ code: 'Backend' }),
  )
  expect(ran).toBe(0)
  inTransaction(environment, work)
  expect(ran).toBe(1)
  await environment.root.close()
  expect(await verifyLmdb(path)).toMatchObject({ verdict: 'intact', cursor: at(3) })
})
