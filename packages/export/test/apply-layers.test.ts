import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { directoryObjects, publishArtifact } from '@slip/export'
import { expect, test } from 'vitest'
import { artifactFiles } from '../src/artifact-files.ts'
import { applyLayers, type LayerFile } from '../src/parts/apply-layers.ts'
import { bytesOf, filesOf, type PlainList } from './part-archives.ts'
import { ChangingFold, range } from './parts.ts'
import { scratch } from './scratch.ts'

test('layers may change as many records as is allowed, and not one more; nothing is made of those that do', async () => {
  const fold = await ChangingFold.open(100)
  await fold.change(range(1, 400))
  const store = directoryObjects(await scratch())
  const first = await fold.export()
  await publishArtifact(first.directory, store, 'routes')
  let newest = first
  let payload = ''
  for (const changed of [
    [5, 50, -60],
    [5, 390, 500],
  ]) {
    await fold.change(changed)
    newest = await fold.export()
    payload = (await publishArtifact(newest.directory, store, 'routes')).payload
  }
  await fold.store.close()
  const list = JSON.parse(
    filesOf(await bytesOf(store, payload))
      .get('PARTS.json')!
      .toString(),
  ) as PlainList
  const directory = await scratch()
  const layers: LayerFile[] = []
  let changes = 0
  for (const [i, { part, size, makes }] of list.layers.entries()) {
    const bytes = await bytesOf(store, `routes.parts/${part}`)
    changes += bytes.readUInt32LE(106) + bytes.readUInt32LE(110)
    const path = join(directory, `layer-${i}`)
    await writeFile(path, bytes)
    layers.push({ path, size, from: list.layers[i - 1]?.makes ?? list.base_blake3, to: makes })
  }
  // Three that came twice, each in the place of one, but for the new key.
  expect(changes).toBe(11)
  const [file] = newest.manifest.files
  const apply = async (
    name: string,
    mostChanges: number | undefined,
  ): Promise<{ readonly digest: string; readonly size: number }> => {
    const target = await artifactFiles.open(join(directory, name), 'create')
    try {
      const begin = join(first.directory, 'data/fold.records')
      const options = { most: file!.size, mostChanges, signal: undefined }
      return await applyLayers(begin, layers, list.base_blake3, target, options)
    } finally {
      await target.close()
    }
  }
  const whole = { digest: file!.blake3, size: file!.size }
  expect(await apply('by-default', undefined)).toEqual(whole)
  expect(await apply('at-the-limit', changes)).toEqual(whole)
  expect(
    (await readFile(join(directory, 'at-the-limit'))).equals(
      await readFile(join(newest.directory, 'data/fold.records')),
    ),
  ).toBe(true)
  await expect(apply('one-over', changes - 1)).rejects.toMatchObject({
    code: 'ArtifactInvalid',
    message: expect.stringMatching(`change ${changes} records, more than ${changes - 1}$`) as string,
  })
  expect((await stat(join(directory, 'one-over'))).size).toBe(0)
})
