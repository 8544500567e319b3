import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runStoreConformance } from '@slip/conformance'
import { lmdb } from '@slip/store-lmdb'
import { describe, test } from 'vitest'

const childModule = new URL('conformance-child.mjs', import.meta.url)

for (const durability of ['batch', 'os'] as const)
  describe(`a fold in LMDB, durability ${durability}, is a store`, () => {
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
        const path = join(directory, `fold.${durability}`)
        return {
          location: lmdb({ path, durability }),
          path,
          childModule,
          destroy: () => rm(directory, { recursive: true, force: true }),
        }
      },
    })
  })
