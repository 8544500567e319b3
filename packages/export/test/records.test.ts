import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { exportSnapshot, importSnapshot, verifyArtifact } from '@slip/export'
import { appendLog } from '@slip/store-applog'
import { lmdb } from '@slip/store-lmdb'
import { expect, test } from 'vitest'
import { filled, PLACES, whole } from './folds.ts'
import { at, del, put, scratch } from './scratch.ts'

for (const [from, place] of PLACES)
  for (const [to, destination] of PLACES)
    test(`a fold in ${from} as records becomes the same fold in ${to}`, async () => {
      const parent = await scratch()
      const store = await filled(place(join(parent, 'fold')))
      const artifact = join(parent, 'artifact')
      const manifest = await exportSnapshot(store, artifact, { layout: 'records' })
      expect(manifest).toMatchObject({ backend: 'records', backendVersion: '1', schemaVersion: 101 })
      expect(await verifyArtifact(artifact)).toMatchObject({ entries: store.stats.entries })
      const into = destination(join(parent, 'in'))
      await importSnapshot(artifact, into)
      const imported = await into.open()
      const keepsLess = from.includes('2') || to.includes('2')
      const kept = whole(store) as { entries: { expiresAtMs?: number }[]; deleted: string[] }
      const found = whole(imported) as typeof kept
      if (!keepsLess) expect(found).toEqual(kept)
      expect(found).toMatchObject({ cursor: store.cursor.toHex(), entries: { length: kept.entries.length } })
      const unexpiring = ({ entries }: typeof kept): object[] =>
        entries.map((entry) => ({ ...entry, expiresAtMs: undefined }))
      expect(unexpiring(found)).toEqual(unexpiring(kept))
      await store.close()
      await imported.close()
    })

test('the same state has the same bytes, whatever store it is in and however it came to be', async () => {
  const parent = await scratch()
  const bytes: Buffer[] = []
  for (const [i, place] of [appendLog, lmdb].entries()) {
    const store = await filled(place({ path: join(parent, `fold-${i}`) }))
    await exportSnapshot(store, join(parent, `artifact-${i}`), { layout: 'records' })
    bytes.push(await readFile(join(parent, `artifact-${i}`, 'data/fold.records')))
    await store.close()
  }
  expect(bytes[0]!.equals(bytes[1]!)).toBe(true)
})

test('a live fold is exported as it was at one position, deleted keys too', async () => {
  const parent = await scratch()
  for (const [name, place] of [
    ['log', appendLog],
    ['lmdb', lmdb],
  ] as const) {
    const store = await place({ path: join(parent, name) }).open()
    await store.apply(
      Array.from({ length: 3000 }, (_, i) => put(`key.${(i + 1) % 700}`, `${i + 1}`, i + 1)),
      at(3000),
    )
    const directory = join(parent, `${name}-artifact`)
    const exporting = exportSnapshot(store, directory, { layout: 'records' })
    let revision = 3000
    for (; revision < 3040; revision++)
      await store.apply([del(`key.${revision % 700}`, revision + 1)], at(revision + 1))
    const { cursor } = await exporting
    await store.close()
    const into = appendLog({ path: join(parent, `${name}-in`) })
    await importSnapshot(directory, into)
    const imported = await into.open()
    const position = Number(cursor.revision)
    expect(position).toBeLessThanOrEqual(3040)
    expect(imported.stats.deletedKeys).toBe(position - 3000)
    expect(imported.stats.entries).toBe(700 - (position - 3000))
    await imported.close()
  }
})
