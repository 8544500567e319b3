import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { ObjectStore } from '@slip/kv-core'
import { directoryObjects, downloadArtifact, publishArtifact, verifyArtifact } from '@slip/export'
import { createBLAKE3 } from 'hash-wasm'
import { beforeAll, describe, expect, test } from 'vitest'
import { archiveOf, bytesOf, filesOf, type PlainList } from './part-archives.ts'
import { ChangingFold, range } from './parts.ts'
import { scratch } from './scratch.ts'

interface Published {
  readonly store: ObjectStore
  readonly archive: string
  readonly files: Map<string, Buffer>
  readonly list: PlainList
}

/** An artifact with a base and two layers. */
async function published(): Promise<Published> {
  const fold = await ChangingFold.open(100)
  await fold.change(range(1, 400))
  const store = directoryObjects(await scratch())
  let archive = ''
  for (const changed of [[], [5, 50, -60], [5, 390, 500]]) {
    await fold.change(changed)
    const { directory } = await fold.export()
    archive = (await publishArtifact(directory, store, 'routes')).payload
  }
  await fold.store.close()
  const files = filesOf(await bytesOf(store, archive))
  return { store, archive, files, list: JSON.parse(files.get('PARTS.json')!.toString()) as PlainList }
}

const digest = async (bytes: Uint8Array): Promise<string> =>
  (await createBLAKE3()).init().update(bytes).digest('hex')

/** Puts another object in the place of a part, and lists it as what it is. */
async function replaced(
  { store, list }: Published,
  place: 'base' | 0 | 1,
  bend: (bytes: Buffer) => Buffer | void,
): Promise<void> {
  const part = place === 'base' ? list.base[0]! : list.layers[place]!
  const found = await bytesOf(store, `routes.parts/${part.part}`)
  const bent = bend(found) ?? found
  part.part = part.part.replace(/[0-9a-f]{64}$/, await digest(bent))
  part.size = bent.length
  await store.put(`routes.parts/${part.part}`, bent)
}

const HOSTILE: Readonly<Record<string, (published: Published) => unknown>> = {
  'no list at all': ({ files }) => files.delete('PARTS.json'),
  'a list that is no JSON': ({ files }) => files.set('PARTS.json', Buffer.from('{')),
  'a list that is too long': ({ files }) => files.set('PARTS.json', Buffer.alloc(2 * 1024 * 1024 + 1, ' ')),
  'a payload beside the list': ({ files }) => files.set('data/fold.records', Buffer.from('x')),
  'another manifest': ({ files }) => files.set('MANIFEST.json', Buffer.from('{}')),
  'a format to come': ({ list }) => (list.format = 2),
  'a field that is not known': ({ list }) => Object.assign(list, { more: 1 }),
  'a field that is missing': ({ list }) => delete (list as Partial<PlainList>).base_blake3,
  'a name that leads elsewhere': ({ list }) => (list.base[0]!.part = '../../routes.manifest.json'),
  'a name with another folder in it': ({ list }) => (list.base[0]!.part = `none/../${list.base[0]!.part}`),
  'an absolute name': ({ list }) => (list.layers[0]!.part = '/etc/passwd'),
  'a name that is empty': ({ list }) => (list.layers[0]!.part = ''),
  'a history that is too long': ({ list }) =>
    (list.base[0]!.part = `${'ab'.repeat(101)}/${list.base[0]!.part.split('/')[1]}`),
  'no pieces': ({ list }) => (list.base = []),
  'a layer twice': ({ list }) => list.layers.push(list.layers[1]!),
  'a layer that is the base': ({ list }) => Object.assign(list.layers[0]!, list.base[0]),
  'one layer too many': ({ list }) =>
    (list.layers = Array.from({ length: 33 }, (_, i) => ({
      ...list.layers[0]!,
      part: list.layers[0]!.part.replace(/.{4}$/, i.toString(16).padStart(4, '0')),
    }))),
  'one piece too many': ({ list }) => (list.base = Array.from({ length: 2049 }, () => list.base[0]!)),
  'what is kept is no list': ({ list }) => Object.assign(list, { kept: 'all' }),
  'a kept name that leads elsewhere': ({ list }) => list.kept.push('../routes.manifest.json'),
  'a kept name that is no text': ({ list }) => Object.assign(list, { kept: [7] }),
  'one kept name too many': ({ list }) =>
    (list.kept = Array.from({ length: 2048 + 1 + 32 + 1 }, () => list.base[0]!.part)),
  'a size that is no number': ({ list }) => Object.assign(list.base[0]!, { size: '7' }),
  'a size below nothing': ({ list }) => (list.base[0]!.size = -1),
  'a size beyond all': ({ list }) => (list.base[0]!.size = 2 ** 52),
  'another size': ({ list }) => list.base[0]!.size++,
  'a layer of another size': ({ list }) => list.layers[1]!.size--,
  'a head larger than its layer': ({ list }) => (list.layers[0]!.head_size = list.layers[0]!.size + 1),
  'layers in another order': ({ list }) => list.layers.reverse(),
  'a layer left out': ({ list }) => list.layers.shift(),
  'the last layer left out': ({ list }) => list.layers.pop(),
  'layers that are said to make something else': ({ list }) => (list.layers[0]!.makes = list.base_blake3),
  'a base of another digest': ({ list }) => (list.base_blake3 = list.layers[0]!.makes),
  'a layer that is not there': ({ list }) =>
    (list.layers[1]!.part = list.layers[1]!.part.replace(/.$/, (last) => (last === '0' ? '1' : '0'))),
  'a part that holds something else': async ({ store, list }) => {
    const name = `routes.parts/${list.layers[1]!.part}`
    const bytes = await bytesOf(store, name)
    bytes[bytes.length - 1]! ^= 1
    await store.put(name, bytes)
  },
  'a piece that holds something else': async ({ store, list }) => {
    const name = `routes.parts/${list.base[0]!.part}`
    const bytes = await bytesOf(store, name)
    bytes[bytes.length - 1]! ^= 1
    await store.put(name, bytes)
  },
  'a base with a changed value': async (each) =>
    replaced(each, 'base', (bytes) => void (bytes[bytes.length - 60]! ^= 1)),
  'a base that is no payload': async (each) => replaced(each, 'base', (bytes) => bytes.subarray(9)),
  'a base that is cut': async (each) => replaced(each, 'base', (bytes) => bytes.subarray(0, -40)),
  'a layer that is none': async (each) => replaced(each, 0, (bytes) => void (bytes[0] = 0)),
  'a layer of a version to come': async (each) => replaced(each, 0, (bytes) => void (bytes[8] = 2)),
  'a layer upon something else': async (each) => replaced(each, 0, (bytes) => void (bytes[50]! ^= 1)),
  'a layer of another base': async (each) => replaced(each, 0, (bytes) => void (bytes[10]! ^= 1)),
  'a layer that counts more than it has': async (each) =>
    replaced(each, 0, (bytes) => void bytes.writeUInt32LE(0xffff_ffff, 106)),
  'a layer that counts one less': async (each) =>
    replaced(each, 0, (bytes) => void bytes.writeUInt32LE(bytes.readUInt32LE(110) - 1, 110)),
  'a layer with a header without end': async (each) =>
    replaced(each, 0, (bytes) => void bytes.writeUInt32LE(0xffff_ffff, 114)),
  'a layer that is cut': async (each) => replaced(each, 1, (bytes) => bytes.subarray(0, -1)),
  'a layer with a record more': async (each) =>
    replaced(each, 1, (bytes) => Buffer.concat([bytes, bytes.subarray(-140)])),
}

const attacks: Record<string, { outcome: unknown; left: string[]; outside: string[] }> = {}

describe('parts of attackers, and of what went wrong', () => {
  beforeAll(async () => {
    for (const [what, bend] of Object.entries(HOSTILE)) {
      const each = await published()
      const listed = each.files.get('PARTS.json')
      await bend(each)
      // Unless all of it was replaced.
      if (each.files.get('PARTS.json') === listed)
        each.files.set('PARTS.json', Buffer.from(JSON.stringify(each.list)))
      await each.store.put(each.archive, archiveOf(each.files))
      const parent = await scratch()
      const outcome = await downloadArtifact(each.store, 'routes', join(parent, 'a/artifact')).then(
        () => 'taken',
        (error: unknown) => error,
      )
      attacks[what] = {
        outcome,
        left: (await readdir(join(parent, 'a'))).sort(),
        outside: (await readdir(parent)).filter((name) => name !== 'a'),
      }
    }
  }, 600_000)

  test.each(Object.keys(HOSTILE))('%s', (what) => {
    const { outcome, left, outside } = attacks[what]!
    expect(outcome).toMatchObject({ code: 'ArtifactInvalid' })
    expect(left).toEqual([])
    expect(outside).toEqual([])
  })
})

test('what is not bent is taken', async () => {
  const each = await published()
  await each.store.put(each.archive, archiveOf(each.files))
  const directory = join(await scratch(), 'artifact')
  await downloadArtifact(each.store, 'routes', directory)
  expect(await verifyArtifact(directory)).toMatchObject({ entries: 399 })
})

test('parts that cost one byte more than four payloads and a megabyte are not fetched', async () => {
  const each = await published()
  const manifest = JSON.parse(each.files.get('MANIFEST.json')!.toString()) as { files: [{ size: number }] }
  const most = 4 * manifest.files[0].size + 1024 * 1024
  const others = each.list.layers.reduce((sum, { size }) => sum + size, 0)
  for (const [bytes, why] of [
    [most, /are listed/],
    [most + 1, /too many for a payload/],
  ] as const) {
    each.list.base[0]!.size = bytes - others
    each.files.set('PARTS.json', Buffer.from(JSON.stringify(each.list)))
    await each.store.put(each.archive, archiveOf(each.files))
    const download = downloadArtifact(each.store, 'routes', join(await scratch(), 'artifact'))
    await expect(download).rejects.toThrow(why)
  }
})
