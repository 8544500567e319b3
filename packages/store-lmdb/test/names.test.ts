import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { nodeFileSystem } from '@slip/kv-core/store-parts'
import { lmdb, LmdbSnapshot, verifyLmdb } from '@slip/store-lmdb'
import { afterEach, expect, test, vi } from 'vitest'
import { at, plain, put, scratch } from './scratch.ts'

const FIRST = 'fold-00000001.mdb'
const SECOND = 'fold-00000002.mdb'
const syncDirectory = nodeFileSystem.syncDirectory.bind(nodeFileSystem)

afterEach(() => {
  vi.restoreAllMocks()
})

/** From here on these directories cannot be synced. */
function failToSync(...directories: readonly string[]): { restore(): void } {
  const spy = vi.spyOn(nodeFileSystem, 'syncDirectory').mockImplementation(async (directory) => {
    if (directories.includes(directory)) throw Object.assign(new Error('no sync'), { code: 'EIO' })
    await syncDirectory(directory)
  })
  return { restore: () => spy.mockRestore() }
}

async function foldsIn(path: string): Promise<string[]> {
  return (await readdir(path)).filter((name) => name.endsWith('.mdb')).sort()
}

test('a new fold is durable under names that are: its own directory and the one above are synced', async () => {
  const path = join(await scratch(), 'fold')
  const spy = vi.spyOn(nodeFileSystem, 'syncDirectory')
  const store = await LmdbSnapshot.open({ path })
  expect(spy.mock.calls.map(([directory]) => directory)).toEqual(
    expect.arrayContaining([path, dirname(path)]),
  )
  await store.close()

  failToSync(dirname(path))
  const unnamed = await LmdbSnapshot.open({ path })
  await unnamed.apply([put('a', '1', 1)], at(1))
  expect([(await unnamed.sync()).isNone, unnamed.has('a')]).toEqual([true, true])
  await unnamed.close()
})

test('a swap whose name cannot be synced leaves a handle that is done, and the next opener finds a whole fold', async () => {
  const path = join(await scratch(), 'fold')
  const store = await LmdbSnapshot.open({ path })
  await store.apply([put('old', '1', 1)], at(1))
  const staged = await store.stage()
  await staged.apply([put('new', '2', 2)], at(2))
  const failing = failToSync(path)
  await expect(staged.commit()).rejects.toMatchObject({ code: 'Io' })
  // CURRENT names the staged file by now: what is written to the other would be lost.
  await expect(store.apply([put('lost', '3', 3)], at(3))).rejects.toMatchObject({ code: 'Io' })
  expect([...store.keys()]).toEqual(['old'])
  await staged.discard()
  await store.close()
  expect(await foldsIn(path)).toEqual([FIRST, SECOND])

  // As long as the name is not on the disk the old file may be needed again.
  const unsure = await LmdbSnapshot.open({ path })
  expect([[...unsure.keys()], unsure.durableCursor.isNone]).toEqual([['new'], true])
  await unsure.apply([put('more', '3', 3)], at(3))
  expect((await unsure.sync()).isNone).toBe(true)
  await unsure.close()
  expect(await foldsIn(path)).toEqual([FIRST, SECOND])

  failing.restore()
  const sure = await LmdbSnapshot.open({ path })
  expect([[...sure.keys()], sure.durableCursor.revision]).toEqual([['more', 'new'], 3n])
  expect(await foldsIn(path)).toEqual([SECOND])
  await sure.close()
})

test('a swap that fails before CURRENT is replaced leaves the fold as it was, and in use', async () => {
  const path = join(await scratch(), 'fold')
  const store = await LmdbSnapshot.open({ path })
  await store.apply([put('old', '1', 1)], at(1))
  const staged = await store.stage()
  await staged.apply([put('new', '2', 2)], at(2))
  await mkdir(join(path, 'CURRENT.draft'))
  await expect(staged.commit()).rejects.toMatchObject({ code: 'Io' })
  await rm(join(path, 'CURRENT.draft'), { recursive: true })
  await store.apply([put('on', '3', 3)], at(3))
  await store.close()
  const reopened = await LmdbSnapshot.open({ path })
  expect([...reopened.keys()]).toEqual(['old', 'on'])
  expect(await foldsIn(path)).toEqual([FIRST])
  await reopened.close()
})

test('a swap that was made is told as made, whatever becomes of the doubt about the fold before', async () => {
  const path = join(await scratch(), 'fold')
  const store = await LmdbSnapshot.open({ path })
  await store.apply([put('old', '1', 1)], at(1))
  const staged = await store.stage()
  await staged.apply([put('new', '2', 2)], at(2))
  // Not to be removed as a file is.
  await mkdir(join(path, 'DOUBTFUL'))
  await staged.commit()
  await store.apply([put('on', '3', 3)], at(3))
  expect([[...store.keys()], store.durableCursor.revision]).toEqual([['new', 'on'], 3n])
  await store.close()
})

test('a doubtful fold whose copy cannot be named for good is not opened, and not lost', async () => {
  const path = join(await scratch(), 'fold')
  const store = await LmdbSnapshot.open({ path })
  await store.apply([put('a', '1', 1)], at(1))
  await store.close()
  await writeFile(join(path, 'DOUBTFUL'), '')
  const failing = failToSync(path)
  await expect(LmdbSnapshot.open({ path })).rejects.toMatchObject({ code: 'Io' })
  expect(await verifyLmdb(path)).toMatchObject({ verdict: 'intact', entries: 1 })
  failing.restore()
  const after = await LmdbSnapshot.open({ path })
  expect([plain(after), after.durableCursor.revision]).toEqual([[['a', '1', at(1).toHex()]], 1n])
  await after.close()
  expect(await readdir(path)).not.toContain('DOUBTFUL')
})

test('a fold that has lost its CURRENT is damaged, and not the beginning of a new one', async () => {
  const path = join(await scratch(), 'fold')
  const store = await LmdbSnapshot.open({ path })
  await store.close()
  await rm(join(path, 'CURRENT'))
  // Nobody ever committed to it: that is how a crash at birth leaves it.
  const again = await LmdbSnapshot.open({ path })
  await again.apply([put('a', '1', 1)], at(1))
  await again.close()
  await rm(join(path, 'CURRENT'))

  await expect(LmdbSnapshot.open({ path })).rejects.toMatchObject({ code: 'Corrupted' })
  expect(await lmdb({ path }).exists()).toBe(true)
  expect(await verifyLmdb(path)).toMatchObject({ verdict: 'corrupt' })
  expect(await foldsIn(path)).toHaveLength(1)
  const aside = await lmdb({ path }).setAside?.()
  expect(await foldsIn(aside!)).toHaveLength(1)
})

test('a fold that is staged and compacted at once gets a file for each', async () => {
  const path = join(await scratch(), 'fold')
  const store = await LmdbSnapshot.open({ path })
  await store.apply([put('old', '1', 1)], at(1))
  const [staged] = await Promise.all([store.stage(), store.compact()])
  await staged.apply([put('new', '2', 2)], at(2))
  await staged.commit()
  expect([...store.keys()]).toEqual(['new'])
  await store.close()
  const reopened = await LmdbSnapshot.open({ path })
  expect([...reopened.keys()]).toEqual(['new'])
  await reopened.close()
})

test('a directory that cannot be read when a file is to be made in it is told by its code', async () => {
  const path = join(await scratch(), 'fold')
  const store = await LmdbSnapshot.open({ path })
  await store.apply([put('a', '1', 1)], at(1))
  await rename(path, `${path}-elsewhere`)
  await expect(store.stage()).rejects.toMatchObject({ name: 'SnapshotError', code: 'Io', path })
  await rename(`${path}-elsewhere`, path)
  const staged = await store.stage()
  await staged.discard()
  await store.close()
})
