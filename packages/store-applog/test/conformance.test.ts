import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runStoreConformance } from '@slip/conformance'
import type { StoreFeatures } from '@slip/kv-core'
import { AppendLogSnapshot, appendLog } from '@slip/store-applog'
import { describe, test } from 'vitest'
import { AppendLogSnapshot as SnapshotOnFiles } from '../src/append-log-snapshot.ts'
import { faultyFileSystem } from './faulty-file-system.ts'

const childModule = new URL('conformance-child.mjs', import.meta.url)
const readerModule = new URL('conformance-reader.mjs', import.meta.url)

const TORN =
  'generation 2 keeps the whole records of a torn commit, whose cursor is lost; replaying converges'

const GENERATION_2_GAPS = { 'recovery/truncated': TORN, 'recovery/flipped-bit-exact': TORN }

for (const format of [2, 3] as const) {
  const features = await featuresOf(format)

  describe(`an append log of generation ${format} is a store`, () => {
    runStoreConformance(test, {
      features,
      knownGaps: format === 2 ? GENERATION_2_GAPS : {},
      // A reader of generation 2 can meet whole records of a commit under way, before its cursor is written.
      ...(format === 3 ? { readerModule } : {}),
      outsideFaults: true,
      // A record of generation 2 does not say whose it is.
      damage: format === 2 ? { detects: 'changed', opensAt: 'update' } : { detects: 'all' },
      createFaulty: async (judge) => {
        const directory = await mkdtemp(join(tmpdir(), 'slip-applog-'))
        const path = join(directory, 'fold')
        const files = faultyFileSystem((call, of) => judge({ call, path: of }))
        return {
          location: {
            ...appendLog({ path, format }),
            open: async (wait) => SnapshotOnFiles.open({ path, format, ...wait }, files),
          },
          destroy: () => rm(directory, { recursive: true, force: true }),
        }
      },
      create: async () => {
        const directory = await mkdtemp(join(tmpdir(), 'slip-applog-'))
        const path = join(directory, `fold.generation-${format}`)
        return {
          location: appendLog({ path, format }),
          path,
          childModule,
          destroy: () => rm(directory, { recursive: true, force: true }),
        }
      },
    })
  })
}

/** What the kit checks the store against: the two generations differ only in what the older cannot keep. */
async function featuresOf(format: 2 | 3): Promise<StoreFeatures> {
  const native = format === 3
  const directory = await mkdtemp(join(tmpdir(), 'slip-applog-'))
  const store = await AppendLogSnapshot.open({ path: join(directory, 'fold'), format })
  const { maxKeyBytes, maxValueBytes, staging } = store.features
  await store.close()
  await rm(directory, { recursive: true })
  return {
    views: true,
    lineage: native,
    deletedKeys: native,
    staging,
    durable: true,
    multiProcessReaders: store.features.multiProcessReaders,
    maxKeyBytes,
    maxValueBytes,
  }
}
