import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { SnapshotLocation } from '@slip/kv-core'
import type { StoreSuite } from '@slip/conformance'
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
