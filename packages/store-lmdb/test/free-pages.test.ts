import { open, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { LmdbSnapshot, verifyLmdb } from '@slip/store-lmdb'
import { expect, test } from 'vitest'
import { pagesOfFreeList } from '../dist/free-list.js'
import { checkHead } from '../dist/head-check.js'
import type { MetaPage } from '../dist/lmdb-page.js'
import { walkPages } from '../dist/page-walk.js'
import { at, del, put, scratch, seededRandom } from './scratch.ts'

const PAGE = 4096
const HEADER = 24
const FILE = 'fold-00000001.mdb'

test('a list of free pages is slots: nothing, a page, or minus how many begin at the page in the next slot', () => {
  const list = (...slots: number[]): Buffer => {
    const bytes = Buffer.alloc(8 * slots.length)
    for (const [i, slot] of slots.entries()) bytes.writeBigInt64LE(BigInt(slot), 8 * i)
    return bytes
  }
  expect(pagesOfFreeList(list(4, 9, 0, -3, 5, 77))).toEqual([
    { first: 9, count: 1 },
    { first: 5, count: 3 },
  ])
  expect(pagesOfFreeList(list(2, 9, -3))).toEqual([{ first: 9, count: 1 }])
  expect(pagesOfFreeList(list(2, 9))).toBeUndefined()
  expect(pagesOfFreeList(Buffer.alloc(4))).toBeUndefined()
})

test('every page is in use or free once, whatever was written, read and reopened meanwhile', async () => {
  const path = join(await scratch(), 'fold')
  const random = seededRandom('free pages')
  let store = await LmdbSnapshot.open({ path, durability: 'os' })
  let revision = 0
  let views: { close(): void }[] = []
  for (let round = 0; round < 60; round++) {
    const batch = Array.from({ length: 1 + random(300) }, () => {
      const key = `k${random(4_000)}${random(50) === 0 ? 'x'.repeat(random(900)) : ''}`
      const bytes = random(50) === 0 ? random(60_000) : random(400)
      revision++
      return random(4) === 0 ? del(key, revision) : put(key, new Uint8Array(bytes), revision)
    })
    await store.apply(batch, at(revision))
    if (random(6) === 0) views.push(store.view())
    if (random(6) === 0) for (const view of views.splice(0)) view.close()
    if (random(10) === 0) {
      views = []
      await store.close()
      store = await LmdbSnapshot.open({ path, durability: 'os' })
    }
    if (round % 5 > 0) continue
    const { lastPage, pages, lostPages, damage } = await walk(join(path, FILE))
    expect({ round, damage, lostPages }).toEqual({ round, damage: undefined, lostPages: 0 })
    expect(pages).toBeLessThan(lastPage)
  }
  await store.close()
  expect(await verifyLmdb(path)).toMatchObject({ verdict: 'intact' })
})

test('a free list that names a page in use, or one twice, or has forgotten one, is damage', async () => {
  const path = join(await scratch(), 'fold')
  const { bytes, meta } = await filled(path)
  const slots = freeSlots(bytes, meta)
  expect(slots.length).toBeGreaterThan(2)
  const [first, second] = slots as [number, number]
  const used = meta.mainTree.root!
  const said = async (slot: number, page: number): Promise<unknown> => {
    const damaged = Buffer.from(bytes)
    damaged.writeBigInt64LE(BigInt(page), slot)
    await writeFile(join(path, FILE), damaged)
    return verifyLmdb(path)
  }
  expect(await said(first, used)).toMatchObject({ verdict: 'corrupt', what: matching('free and in use') })
  // It would be written over by the next commits.
  const check = 'structure'
  await expect(LmdbSnapshot.open({ path, check })).rejects.toMatchObject({ code: 'Corrupted' })
  const twice = Number(bytes.readBigInt64LE(second))
  expect(await said(first, twice)).toMatchObject({ verdict: 'corrupt', what: matching('free twice') })
  expect(await said(first, meta.lastPage + 1)).toMatchObject({ verdict: 'corrupt' })
  expect(await said(first, 0)).toMatchObject({
    verdict: 'corrupt',
    what: matching('neither free nor in use'),
  })
  await writeFile(join(path, FILE), bytes)
  expect(await verifyLmdb(path)).toMatchObject({ verdict: 'intact' })
})

test('a branch that leads a reader elsewhere is damage, although a scan finds every key', async () => {
  const path = join(await scratch(), 'fold')
  const { bytes } = await filled(path)
  const { databases } = await walk(join(path, FILE))
  const { root, depth } = databases.get('data')!
  expect(depth).toBeGreaterThan(1)
  const branch = root! * PAGE
  const pointer = bytes.readUInt16LE(branch + HEADER + 2 * 3)
  const keyAt = branch + HEADER + pointer + 8
  const lastByte = keyAt + bytes.readUInt16LE(branch + HEADER + pointer + 6) - 1
  for (const change of [1, -1]) {
    const damaged = Buffer.from(bytes)
    damaged[lastByte]! += change
    await writeFile(join(path, FILE), damaged)
    const verdict = await verifyLmdb(path)
    const open = LmdbSnapshot.open({ path, check: 'structure' })
    const hidden = await hiddenKeys(open)
    // A branch's key may be lower than the lowest key it leads to; then nothing is hidden.
    if (hidden !== 'refused') expect([verdict.verdict, hidden]).toEqual(['intact', []])
    else expect(verdict.verdict).toBe('corrupt')
    if (change === 1) expect(hidden).toBe('refused')
  }
})

async function hiddenKeys(opening: Promise<LmdbSnapshot>): Promise<string[] | 'refused'> {
  const store = await opening.catch(() => undefined)
  if (store === undefined) return 'refused'
  const hidden = [...store.keys()].filter((key) => !store.has(key))
  await store.close()
  return hidden
}

function matching(text: string): unknown {
  return expect.stringContaining(text) as unknown
}

/** A fold with several levels and a list of free pages. */
async function filled(path: string): Promise<{ bytes: Buffer; meta: MetaPage }> {
  const store = await LmdbSnapshot.open({ path, durability: 'os' })
  for (let revision = 1; revision <= 6; revision++)
    await store.apply(
      Array.from({ length: 500 }, (_, i) => put(`key.${i}`, `${revision}`.repeat(100), revision)),
      at(revision),
    )
  await store.close()
  const { meta } = await walk(join(path, FILE))
  return { bytes: await readFile(join(path, FILE)), meta }
}

async function walk(
  path: string,
): Promise<Awaited<ReturnType<typeof walkPages>> & { meta: MetaPage; lastPage: number }> {
  const file = await open(path)
  try {
    const head = await checkHead(file)
    if (head.verdict !== 'plausible') throw new Error(head.what)
    const { meta } = head
    return { ...(await walkPages(file, meta, { comparesFree: true })), meta, lastPage: meta.lastPage }
  } finally {
    await file.close()
  }
}

/** Where in the file the free list names single pages. */
function freeSlots(bytes: Buffer, { freeTree }: MetaPage): number[] {
  expect(freeTree.depth).toBe(1)
  const page = freeTree.root! * PAGE
  const slots: number[] = []
  for (let i = 0; i < freeTree.entries; i++) {
    const node = page + HEADER + bytes.readUInt16LE(page + HEADER + 2 * i)
    const overflows = (bytes.readUInt16LE(node + 4) & 1) !== 0
    const dataAt = node + 8 + bytes.readUInt16LE(node + 6)
    const list = overflows ? Number(bytes.readBigUInt64LE(dataAt)) * PAGE + HEADER : dataAt
    const count = Number(bytes.readBigUInt64LE(list))
    for (let slot = 1; slot <= count; slot++) {
      const slotAt = list + 8 * slot
      const single = bytes.readBigInt64LE(slotAt) > 0n && bytes.readBigInt64LE(slotAt - 8) >= 0n
      if (single) slots.push(slotAt)
    }
  }
  return slots
}
