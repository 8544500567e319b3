import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { findChanges, MOST_CHANGES, type KnownPayload } from '../src/parts/find-changes.ts'
import { encodeIndexHead } from '../src/parts/hash-index.ts'
import { HashTable } from '../src/parts/hash-table.ts'
import { encodeLayerHead } from '../src/parts/layer-head.ts'
import { scratch, seededRandom } from './scratch.ts'

const BASE = 'ab'.repeat(32)

function bytesOf(hashes: readonly bigint[]): Buffer {
  const bytes = Buffer.alloc(hashes.length * 8)
  for (const [i, hash] of hashes.entries()) bytes.writeBigUInt64BE(hash, i * 8)
  return bytes
}

interface Layer {
  readonly removed: readonly bigint[]
  readonly added: readonly bigint[]
}

/** A base and layers as files of hashes. */
async function known(base: readonly bigint[], layers: readonly Layer[]): Promise<KnownPayload> {
  const directory = await scratch()
  const file = async (name: string, bytes: Buffer): Promise<{ path: string; size: number }> => {
    await writeFile(join(directory, name), bytes)
    return { path: join(directory, name), size: bytes.length }
  }
  const index = await file('index', Buffer.concat([encodeIndexHead(BASE, base.length), bytesOf(base)]))
  const written = []
  for (const [i, { removed, added }] of layers.entries()) {
    const counts = { removed: removed.length, added: added.length, header: new Uint8Array() }
    const head = encodeLayerHead({ base: BASE, from: BASE, to: BASE, ...counts })
    written.push(await file(`layer-${i}`, Buffer.concat([head, bytesOf(removed), bytesOf(added)])))
  }
  return { base: BASE, index, layers: written }
}

async function own(hashes: readonly bigint[]): Promise<{ path: string; count: number }> {
  const path = join(await scratch(), 'own')
  await writeFile(path, bytesOf(hashes))
  return { path, count: hashes.length }
}

test('what came and what went is found, in one pass and in many', async () => {
  const random = seededRandom('changes')
  const draw = (): bigint => (BigInt(random(2 ** 32)) << 32n) | BigInt(random(2 ** 32))
  const base = Array.from({ length: 3000 }, draw)
  const layers: Layer[] = []
  let state = base
  for (let layer = 0; layer < 3; layer++) {
    const removed = state.filter(() => random(20) === 0)
    const added = Array.from({ length: 100 }, draw)
    // What was removed may come back.
    if (layer > 0) added.push(...layers[0]!.removed.slice(layer * 5, layer * 5 + 3))
    layers.push({ removed, added })
    state = [...state.filter((hash) => !removed.includes(hash)), ...added]
  }
  const removed = state.filter(() => random(10) === 0).sort((a, b) => (a < b ? -1 : 1))
  const came = Array.from({ length: 50 }, draw)
  const now = state.filter((hash) => !removed.includes(hash))
  const places: number[] = []
  for (const hash of came) now.splice(random(now.length), 0, hash)
  for (const [i, hash] of now.entries()) if (came.includes(hash)) places.push(i)
  const chain = await known(base, layers)
  for (const mostHeld of [Infinity, 1000, 37])
    expect(await findChanges(await own(now), chain, { mostHeld })).toEqual({
      added: Uint32Array.from(places),
      removed: BigUint64Array.from(removed),
    })
})

test('nothing is laid upon what cannot be told', async () => {
  const chain = async (base: readonly bigint[], ...layers: Layer[]): Promise<unknown> =>
    findChanges(await own([1n, 2n]), await known(base, layers))
  expect(await chain([1n, 3n])).toMatchObject({ added: Uint32Array.of(1), removed: BigUint64Array.of(3n) })
  // Two records of one hash, in the base, in a layer, and here.
  expect(await chain([1n, 1n])).toBeUndefined()
  expect(await chain([1n], { removed: [], added: [1n] })).toBeUndefined()
  expect(await findChanges(await own([1n, 1n]), await known([1n], []))).toBeUndefined()
  // A layer that removes what is not there.
  expect(await chain([1n], { removed: [2n], added: [] })).toBeUndefined()
  await expect(
    findChanges(await own([1n]), { ...(await known([1n], [])), base: 'cd'.repeat(32) }),
  ).rejects.toMatchObject({ code: 'InvalidFormat' })
})

test('one change more than the most is too many', async () => {
  const numbers = (count: number): bigint[] => Array.from({ length: count }, (_, i) => BigInt(i) << 20n)
  const all = await own(numbers(MOST_CHANGES))
  expect((await findChanges(all, await known([], [])))?.added).toHaveLength(MOST_CHANGES)
  expect(await findChanges(all, await known([7n], []))).toBeUndefined()
})

test('a table that is full takes no more', () => {
  const table = new HashTable(1)
  for (let i = 0; i < 15; i++) table.mark(i, i, 1)
  expect(() => table.mark(15, 15, 1)).toThrow(RangeError)
  table.mark(3, 3, 2)
  expect([table.markOf(3, 3), table.markOf(99, 99), table.count(1)]).toEqual([2, 0, 14])
})
