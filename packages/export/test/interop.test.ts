import { cp, mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { SnapshotError, type SnapshotLocation } from '@slip/kv-core'
import { exportSnapshot, importSnapshot, MANIFEST_FILE, verifyArtifact } from '@slip/export'
import { appendLog } from '@slip/store-applog'
import { lmdb } from '@slip/store-lmdb'
import { expect, test } from 'vitest'
import { INTEROP, interopAnswers } from './interop.ts'
import { plain, scratch } from './scratch.ts'

const answers = await interopAnswers()
const accepted = [...answers].filter(([, { verdict }]) => verdict === 'ok')
const refused = [...answers].filter(([, { verdict }]) => verdict === 'error')

const destinations: readonly (readonly [string, (path: string) => SnapshotLocation])[] = [
  ['a log', (path) => appendLog({ path })],
  ['a log of generation 2', (path) => appendLog({ path, format: 2 })],
  ['LMDB', (path) => lmdb({ path })],
]

for (const [what, locate] of destinations)
  for (const [name, answer] of accepted)
    test(`${name} imports into ${what} to the state its maker gives`, async () => {
      if (answer.verdict !== 'ok') throw new TypeError(name)
      const location = locate(join(await scratch(), 'fold'))
      const manifest = await importSnapshot(join(INTEROP, name), location)
      const store = await location.open()
      expect(plain(store)).toEqual(answer.entries)
      expect(store.cursor.toHex()).toBe(answer.cursor)
      expect(manifest.cursor.toHex()).toBe(answer.cursor)
      await store.close()
    })

for (const [name] of refused)
  test(`${name} is refused, says why, and leaves nothing`, async () => {
    for (const [, locate] of destinations) {
      const directory = await scratch()
      const location = locate(join(directory, 'new/fold'))
      const error = await importSnapshot(join(INTEROP, name), location).then(
        () => undefined,
        (thrown: unknown) => thrown,
      )
      expect(SnapshotError.is(error) && error.code).toBe('ArtifactInvalid')
      expect(await location.exists()).toBe(false)
      expect(await readdir(join(directory, 'new')).catch(() => [])).toEqual([])
      await expect(verifyArtifact(join(INTEROP, name))).rejects.toMatchObject({ code: 'ArtifactInvalid' })
    }
  })

const sameTime = (manifest: string): string =>
  manifest.replace(/"created_at_unix": \d+/, '"created_at_unix": 0')

for (const [what, locate] of destinations)
  for (const [name] of accepted)
    test(`${name}, exported again from ${what}, has the same payload and a manifest that differs only in time`, async () => {
      const directory = await scratch()
      const location = locate(join(directory, 'fold'))
      const { schemaVersion, scope } = await importSnapshot(join(INTEROP, name), location)
      const store = await location.open()
      const out = join(directory, 'artifact')
      await exportSnapshot(store, out, {
        interchange: schemaVersion === 2 ? 2 : 1,
        ...(scope === undefined ? {} : { scope }),
      })
      await store.close()
      const [ours, theirs] = [out, join(INTEROP, name)]
      expect(await readFile(join(ours, 'data/fold.snap'))).toEqual(
        await readFile(join(theirs, 'data/fold.snap')),
      )
      expect(sameTime(await readFile(join(ours, MANIFEST_FILE), 'utf8'))).toBe(
        sameTime(await readFile(join(theirs, MANIFEST_FILE), 'utf8')),
      )
      expect(await readdir(out)).toEqual([MANIFEST_FILE, 'data'])
    })

test('an artifact on which nothing may be written imports all the same', async () => {
  const directory = await scratch()
  const artifact = join(directory, 'artifact')
  await mkdir(artifact)
  await cp(join(INTEROP, 'small'), artifact, { recursive: true })
  const before = await readdir(directory, { recursive: true })
  await importSnapshot(artifact, lmdb({ path: join(await scratch(), 'fold') }))
  expect(await readdir(directory, { recursive: true })).toEqual(before)
})
