import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runStoreConformance } from '@slip/conformance'
import { lmdb } from '@slip/store-lmdb'
import { describe, test } from 'vitest'

const childModule = new URL('conformance-child.mjs', import.meta.url)

/** Every batch is laid above the others, runs are made all the time, and merged in every pause. */
const IN_BULK = { fromEntries: 0, batchUpdates: 1, runBytes: 2_000, calmMs: 40 }

for (const [durability, bulk] of [
  ['batch', undefined],
  ['os', undefined],
  ['batch', IN_BULK],
] as const)
  describe(`a fold in LMDB, durability ${durability}${bulk === undefined ? '' : ', filled in bulk'}, is a store`, () => {
    runStoreConformance(test, {
      features: {
        views: true,
        lineage: true,
        deletedKeys: true,
        staging: true,
        durable: true,
        multiProcessReaders: true,
        maxKeyBytes: 65_535,
        maxValueBytes: 64 * 1024 * 1024,
      },
      create: async () => {
        const directory = await mkdtemp(join(tmpdir(), 'slip-lmdb-'))
        const path = join(directory, `fold${bulk === undefined ? '' : '.bulk'}.${durability}`)
        return {
          location: lmdb({ path, durability, bulk }),
          path,
          childModule,
          destroy: () => rm(directory, { recursive: true, force: true }),
        }
      },
    })
  })
