import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { KvUpdate } from '@slip/kv-core'
import { LmdbReader, LmdbSnapshot, verifyLmdb } from '@slip/store-lmdb'
import { expect, test } from 'vitest'
import { openEnvironment, readLayers, readState } from '../dist/environment.js'
import { LayerWriter } from '../dist/layer-writer.js'
import { expectState, IN_BULK, layersOf, shown } from './flooded.ts'
import { at, del, put, scratch } from './scratch.ts'

const KEYS = 3_000
const NOTHING_SEALED = { ...IN_BULK, runBytes: 64 * 1024 * 1024 }

test('a run that was left half written means nothing, and a later one of its number is right', async () => {
  const ended = await sealed()
  expect(ended.transactions).toBeGreaterThanOrEqual(4)
  for (let failing = 1; failing <= ended.transactions; failing++) {
    const { path, flood } = await sealed(failing)
    const when = `failed in transaction ${failing} of ${ended.transactions}`
    expect(await layersOf(path), when).toMatchObject({ runs: 1, arrivals: 4 })
    expect(await verifyLmdb(path), when).toMatchObject({ verdict: 'intact' })
    const reader = await LmdbReader.open({ path })
    expect(shown(reader), when).toHaveLength(KEYS)
    await reader.close()

    const store = await LmdbSnapshot.open({ path, durability: 'os', bulk: NOTHING_SEALED })
    // Below what the half run holds, one of its keys changed, and one gone.
    const later = [put('a', 'below', 9), put(flood.at(-1)!.key, 'changed', 9), del(flood.at(-2)!.key, 9)]
    await store.apply(later, at(9))
    await store.settle()
    expectState(store, [...flood, ...later], when)
    await store.close()
    expect(await verifyLmdb(path), when).toMatchObject({ verdict: 'intact', entries: KEYS })
  }
})

/** A fold with a run and four batches above it, of which another run was begun: to its end, or until a transaction failed. */
async function sealed(
  failing = Infinity,
): Promise<{ readonly path: string; readonly flood: KvUpdate[]; readonly transactions: number }> {
  const path = join(await scratch(), 'fold')
  const flood = Array.from({ length: KEYS }, (_, i) =>
    put(`k${(i * 7_919) % KEYS}`, Buffer.alloc(200, `value ${i} `), 1),
  )
  const size = KEYS / 5
  const batchAt = (i: number): KvUpdate[] => flood.slice(i * size, (i + 1) * size)
  let store = await LmdbSnapshot.open({ path, durability: 'os', bulk: { ...NOTHING_SEALED, runBytes: 1 } })
  await store.apply(batchAt(0), at(1))
  await store.apply(batchAt(1), at(2))
  await store.close()
  store = await LmdbSnapshot.open({ path, durability: 'os', bulk: NOTHING_SEALED })
  for (let i = 2; i < 5; i++) await store.apply(batchAt(i), at(i + 1))
  await store.close()

  const name = (await readdir(path)).find((file) => file.endsWith('.mdb'))!
  const environment = await openEnvironment(join(path, name), { synced: false, maxReaders: 8 })
  const { meta, root } = environment
  const writer = LayerWriter.open(environment, readLayers(meta), readState(meta)!, 1)
  let transactions = 0
  const seal = (): void =>
    writer.seal(
      () => {
        if (++transactions === failing) throw new Error('the disk went away')
      },
      () => undefined,
    )
  if (failing === Infinity) seal()
  else expect(seal).toThrow('the disk went away')
  await root.close()
  return { path, flood, transactions }
}
