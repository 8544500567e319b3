import { cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { LmdbSnapshot } from '@slip/store-lmdb'
import { expect, test } from 'vitest'
import { at, put, scratch } from './scratch.ts'

test('a file whose last batches cannot be read is refused as it is: no writer has taken it over', async () => {
  const path = join(await scratch(), 'fold')
  const bulk = { fromEntries: 0, batchUpdates: 1, calmMs: 60_000 }
  const store = await LmdbSnapshot.open({ path, bulk })
  for (let i = 1; i <= 3; i++) await store.apply([put(`key.${i}`, `needle ${i}`.repeat(40), i)], at(i))
  const copy = join(await scratch(), 'fold')
  await cp(path, copy, {
    recursive: true,
    filter: (name) => name === path || /CURRENT$|\.mdb$/.test(name),
  })
  await store.close()
  const file = join(copy, 'fold-00000001.mdb')
  const bytes = await readFile(file)
  const place = bytes.indexOf('needle 2needle 2')
  expect(place).toBeGreaterThan(0)
  const key = bytes.lastIndexOf('key.2', place)
  bytes.fill(0xff, key - 8, key)
  await writeFile(file, bytes)
  for (let attempt = 0; attempt < 2; attempt++) {
    await expect(LmdbSnapshot.open({ path: copy, bulk })).rejects.toMatchObject({ code: 'Corrupted' })
    expect((await readFile(file)).equals(bytes)).toBe(true)
  }
})
