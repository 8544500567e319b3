import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FollowSource, KvStore, SnapshotLocation } from '@slip/kv-core'
import type { SourceSuite, StoreSuite } from '@slip/conformance'
import { judgedFiles, type ReferenceFiles } from './reference-files.ts'
import { ReferenceBucket } from './reference-bucket.ts'
import { referenceSource, type ReferenceSource } from './reference-source.ts'
import { REFERENCE_FEATURES, referenceLocation } from './reference-store.ts'

/** The honest store, or what `spoil` makes of its locations. */
export function referenceSuite(options: {
  readonly spoil?: (location: SnapshotLocation, path: string) => SnapshotLocation
  readonly childModule?: URL
}): StoreSuite {
  const { spoil = (location) => location, childModule } = options
  return {
    features: REFERENCE_FEATURES,
    create: async () => {
      const directory = await mkdtemp(join(tmpdir(), 'slip-reference-'))
      const path = join(directory, 'fold')
      return {
        location: spoil(referenceLocation(path), path),
        path,
        ...(childModule === undefined ? {} : { childModule }),
        destroy: () => rm(directory, { recursive: true, force: true }),
      }
    },
  }
}

/** The honest store on files that fail as the kit wants them to, or what `spoil` makes of it. */
export function faultyReference(
  spoil: (path: string, files: ReferenceFiles) => SnapshotLocation = referenceLocation,
): NonNullable<StoreSuite['createFaulty']> {
  return async (judge) => {
    const directory = await mkdtemp(join(tmpdir(), 'slip-reference-'))
    const location = spoil(join(directory, 'fold'), judgedFiles(judge))
    return { location, destroy: () => rm(directory, { recursive: true, force: true }) }
  }
}

/** The honest source, or what `spoil` makes of it. */
export function referenceSourceSuite(
  spoil: (source: ReferenceSource, bucket: ReferenceBucket) => KvStore & FollowSource = (source) => source,
): SourceSuite {
  return {
    features: { ttl: true, purge: true, compareAndSwap: true, prefixes: true, describe: true, history: true },
    create: async () => {
      const bucket = new ReferenceBucket()
      return {
        source: async () => spoil(referenceSource(bucket), bucket),
        destroy: async () => bucket.clear(),
      }
    },
  }
}
