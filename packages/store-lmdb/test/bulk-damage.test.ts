import { mkdir, open, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { LmdbSnapshot } from '@slip/store-lmdb'
import { expect, test } from 'vitest'
import { isBatch } from '../dist/batch-encoder.js'
import { checkHead } from '../dist/head-check.js'
import { LeafStream } from '../dist/leaf-stream.js'
import { walkPages } from '../dist/page-walk.js'
import { askChild } from './ask-child.ts'
import { IN_BULK } from './flooded.ts'
import { at, put, scratch } from './scratch.ts'

const FILE = 'fold-00000001.mdb'
const PAGE_BYTES = 4096
const REVISION = 6

test('whatever became of what arrived last, who opens the fold lives to say so, and nobody waits for ever', async () => {
  const directory = await scratch()
  const path = join(directory, 'fold')
  const { bytes, leaf, first, pages } = await layered(path)
  const open = async (how: string, check: string, damaged: Buffer): Promise<object> => {
    await writeFile(join(path, FILE), damaged)
    const found = await askChild({ how, path, check })
    if (found.code !== undefined)
      expect((await readFile(join(path, FILE))).equals(damaged), 'it is left as it was').toBe(true)
    return found
  }
  const damagedFrom = (page: number, length: number, byte: (at: number) => number): Buffer => {
    const damaged = Buffer.from(bytes)
    for (let i = 0; i < length; i++) damaged[page * PAGE_BYTES + i] = byte(i)
    return damaged
  }
  expect(pages).toBeGreaterThan(2)
  const kinds = { zeros: () => 0, ones: () => 255, noise: (i: number) => (i * 167 + 13) & 255 }
  for (const [kind, byte] of Object.entries(kinds))
    for (const page of [leaf, first]) {
      const damaged = damagedFrom(page, PAGE_BYTES, byte)
      for (const how of ['write', 'read'])
        expect(await open(how, 'head', damaged), `${kind} in page ${page}, to ${how}`).toEqual({
          code: 'Corrupted',
        })
    }
  // The record of the first step: its length, whose upper byte is then 2 GiB and more, and nothing of it.
  const value = first * PAGE_BYTES + 24
  for (const length of [0x8000_0000, 0xffff_fff0, 0xffff_ffff, 0]) {
    const damaged = Buffer.from(bytes)
    damaged.writeUInt32LE(length, value + 3)
    for (const [how, check] of [
      ['write', 'head'],
      ['write', 'structure'],
      ['write', 'records'],
      ['read', 'head'],
    ] as const)
      expect(await open(how, check, damaged), `${length} bytes, to ${how} with ${check}`).toEqual({
        code: 'Corrupted',
      })
  }
  for (let page = first + 1; page < first + pages; page += 5) {
    const damaged = damagedFrom(page, PAGE_BYTES, kinds.zeros)
    for (const how of ['write', 'read']) {
      const found = await open(how, 'head', damaged)
      expect([{ code: 'Corrupted' }, { revision: REVISION }]).toContainEqual(found)
    }
    expect(await open('write', 'records', damaged), `zeros in page ${page}`).toEqual({ code: 'Corrupted' })
  }
  expect(await open('write', 'records', bytes)).toMatchObject({ revision: REVISION })
}, 300_000)

test('bytes are a batch only where whole steps make them up', () => {
  const step = (what: number, key: string, recordBytes: number): Buffer =>
    Buffer.concat([
      Buffer.from([what, key.length, 0, recordBytes, 0, 0, 0]),
      Buffer.from(key),
      Buffer.alloc(recordBytes, 1),
    ])
  const good = Buffer.concat([step(1, 'a', 20), step(2, 'bc', 7)])
  expect(isBatch(good)).toBe(true)
  expect(isBatch(Buffer.alloc(0))).toBe(true)
  for (const bad of [
    good.subarray(0, good.length - 1),
    good.subarray(1),
    Buffer.concat([good, Buffer.from([1])]),
    step(3, 'a', 1),
    step(0, 'a', 1),
    step(1, '', 1),
    Buffer.alloc(70),
    Buffer.alloc(70, 255),
  ])
    expect(isBatch(bad), bad.toString('hex')).toBe(false)
})

test('a branch that leads back to itself, and a value of more than there is, end a merge as damage', async () => {
  const path = join(await scratch(), 'pages')
  const branch = Buffer.alloc(PAGE_BYTES)
  const nodes = 100
  branch.writeUInt32LE(2, 0)
  branch.writeUInt16LE(0x01, 18)
  branch.writeUInt16LE(2 * nodes, 20)
  for (let i = 0; i < nodes; i++) {
    const node = 2_000 + 10 * i
    branch.writeUInt16LE(node - 24, 24 + 2 * i)
    branch.writeUInt16LE(2, node)
    branch.writeUInt16LE(2, node + 6)
  }
  // One record, whose value is said to be 4 GiB in pages of its own.
  const leaf = Buffer.alloc(PAGE_BYTES)
  leaf.writeUInt32LE(3, 0)
  leaf.writeUInt16LE(0x02, 18)
  leaf.writeUInt16LE(2, 20)
  leaf.writeUInt16LE(3_000 - 24, 24)
  leaf.writeUInt32LE(0xffff_ff00, 3_000)
  leaf.writeUInt16LE(1, 3_004)
  leaf.writeUInt16LE(1, 3_006)
  leaf.writeUInt32LE(4, 3_009)
  const overflow = Buffer.alloc(PAGE_BYTES)
  overflow.writeUInt32LE(4, 0)
  overflow.writeUInt16LE(0x04, 18)
  overflow.writeUInt32LE(1, 20)
  await writeFile(path, Buffer.concat([Buffer.alloc(2 * PAGE_BYTES), branch, leaf, overflow]))
  const handle = await open(path)
  const file = { path, descriptor: handle.fd, pageBytes: PAGE_BYTES }
  const tree = { branchPages: 3, leafPages: 1, overflowPages: 1, entries: 1 }
  try {
    expect(() => new LeafStream(file, { ...tree, depth: 32, root: 2 })).toThrow(
      expect.objectContaining({ code: 'Corrupted', at: 2 * PAGE_BYTES }),
    )
    const stream = new LeafStream(file, { ...tree, depth: 1, root: 3 })
    expect(() => stream.advance()).toThrow(expect.objectContaining({ code: 'Corrupted', at: 4 * PAGE_BYTES }))
  } finally {
    await handle.close()
  }
})

/** A closed fold with runs, and with one batch above them whose value has pages of its own. */
async function layered(path: string): Promise<{ bytes: Buffer; leaf: number; first: number; pages: number }> {
  await mkdir(path)
  const store = await LmdbSnapshot.open({ path, durability: 'os', bulk: IN_BULK })
  for (let revision = 1; revision <= REVISION; revision++)
    await store.apply(
      Array.from({ length: 300 }, (_, i) =>
        put(`k${((revision * 300 + i) * 7_919) % 2_003}`, `${revision}`.repeat(90), revision),
      ),
      at(revision),
    )
  await store.close()
  const file = join(path, FILE)
  const handle = await open(file)
  const head = await checkHead(handle)
  if (head.verdict !== 'plausible') throw new Error(head.what)
  const { databases } = await walkPages(handle, head.meta)
  await handle.close()
  const bytes = await readFile(file)
  const { root: leaf, overflowPages: pages, entries } = databases.get('arrivals')!
  expect(entries).toBe(1)
  const node = leaf! * PAGE_BYTES + 24 + bytes.readUInt16LE(leaf! * PAGE_BYTES + 24)
  const first = bytes.readUInt32LE(node + 8 + bytes.readUInt16LE(node + 6))
  return { bytes, leaf: leaf!, first, pages }
}
