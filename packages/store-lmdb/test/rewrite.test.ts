import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { lmdb, LmdbReader, LmdbSnapshot, verifyLmdb, writeLmdb } from '@slip/store-lmdb'
import { expect, test } from 'vitest'
import { at, del, plain, put, scratch } from './scratch.ts'

const LINEAGE = Uint8Array.of(1, 2, 3)
const LONG = `long.${'x'.repeat(600)}`

async function garbage(path: string): Promise<LmdbSnapshot> {
  const store = await LmdbSnapshot.open({ path, durability: 'os' })
  for (let revision = 1; revision <= 20; revision++)
    await store.apply(
      Array.from({ length: 200 }, (_, i) => put(`k${i}`, 'x'.repeat(900), revision)),
      at(revision),
    )
  const last = [put(LONG, 'long', 21), del('gone', 22)]
  for (let i = 0; i < 150; i++) last.push(del(`k${i}`, 23))
  await store.apply(last, at(23), { lineage: LINEAGE })
  return store
}

test('compact leaves the state, gives the free pages back, and readers and views go on', async () => {
  const path = join(await scratch(), 'fold')
  const store = await garbage(path)
  const state = plain(store)
  const deleted = [...store.deletedKeys()]
  const reader = await LmdbReader.open({ path })
  const view = store.view()
  const applying = store.apply([put('beside', 'v', 24)], at(24))
  const { before, after } = await store.compact()
  await applying
  expect(after).toBeLessThan(before / 2)
  expect(store.stats.bytes).toBe(after)
  expect((await store.usage()).freeBytes).toBeLessThan(before - after)
  expect(plain(view)).toEqual(state)
  view.close()
  await reader.waitFor(24n, { timeoutMs: 60_000 })
  expect(plain(reader).filter(([key]) => key !== 'beside')).toEqual(state)
  await reader.close()
  await store.apply([put('after', 'v', 25)], at(25))
  expect([...store.deletedKeys()]).toEqual(deleted)
  expect(store.lineage).toEqual(LINEAGE)
  await store.close()
  expect((await readdir(path)).filter((name) => name.endsWith('.mdb'))).toEqual(['fold-00000002.mdb'])
  const reopened = await LmdbSnapshot.open({ path, check: 'records' })
  expect(plain(reopened).filter(([key]) => key !== 'beside' && key !== 'after')).toEqual(state)
  expect([reopened.cursor.revision, reopened.durableCursor.revision]).toEqual([25n, 25n])
  await reopened.close()
})

test('writeLmdb writes a whole fold, never over one, and a failure leaves nothing', async () => {
  const directory = await scratch()
  const store = await garbage(join(directory, 'from'))
  const to = join(directory, 'to')
  const { entries, bytes } = await writeLmdb(to, store)
  expect([entries, bytes]).toEqual([51, (await stat(join(to, 'fold-00000001.mdb'))).size])
  await expect(writeLmdb(to, store)).rejects.toMatchObject({ code: 'AlreadyExists' })
  const file = join(directory, 'file')
  await writeFile(file, 'mine')
  await expect(writeLmdb(file, store)).rejects.toMatchObject({ code: 'AlreadyExists' })
  expect(await readFile(file, 'utf8')).toBe('mine')
  const broken = {
    cursor: at(1),
    lineage: undefined,
    *entries() {
      yield* store.entries('k')
      throw new Error('the source is broken')
    },
  }
  await expect(writeLmdb(join(directory, 'none'), broken)).rejects.toThrow()
  expect((await readdir(directory)).sort()).toEqual(['file', 'from', 'from.lock', 'to'])
  const written = await LmdbSnapshot.open({ path: to, check: 'records' })
  expect(plain(written)).toEqual(plain(store))
  expect([...written.deletedKeys()]).toEqual([...store.deletedKeys()])
  expect([written.cursor.revision, written.lineage]).toEqual([23n, LINEAGE])
  await written.close()
  await store.close()
})

test('a file in the place of a fold is set aside as it is', async () => {
  const path = join(await scratch(), 'fold')
  await writeFile(path, 'mine')
  const movedTo = await lmdb({ path }).setAside!()
  expect(await readFile(movedTo, 'utf8')).toBe('mine')
  await (await LmdbSnapshot.open({ path })).close()
  await expect(lmdb({ path: `${path}-none` }).setAside!()).rejects.toMatchObject({ code: 'NotFound' })
})

test('a value that one commit makes shorter keeps its pages, and that is no damage', async () => {
  const path = join(await scratch(), 'fold')
  const store = await LmdbSnapshot.open({ path })
  await store.apply([put('a', 'x'.repeat(40_000), 1), put('a', 'y'.repeat(9_000), 2)], at(2))
  await store.close()
  expect(await verifyLmdb(path)).toMatchObject({ verdict: 'intact', entries: 1 })
  const reopened = await LmdbSnapshot.open({ path, check: 'records' })
  expect(reopened.get('a')!.value.length).toBe(9_000)
  await reopened.close()
})
