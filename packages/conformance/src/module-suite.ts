import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { SnapshotLocation } from '@slip/kv-core'
import type { StoreSuite } from './store-suite.ts'

/**
 * The suite of a module whose default export is `(path: string) => SnapshotLocation`: places in the
 * system's directory for temporary files, the features the store itself declares, every case that uses
 * processes, damage and full disks. Rejects with whatever the first open of the store rejects with.
 */
export async function moduleSuite(module: URL): Promise<StoreSuite> {
  const { default: locate } = (await import(module.href)) as {
    readonly default?: (path: string) => SnapshotLocation
  }
  if (typeof locate !== 'function')
    throw new TypeError(`${module.href} has no default export (path: string) => SnapshotLocation`)
  const create: StoreSuite['create'] = async () => {
    const directory = await mkdtemp(join(tmpdir(), 'slip-conformance-'))
    const path = join(directory, 'fold')
    return {
      location: locate(path),
      childModule: module,
      path,
      destroy: () => rm(directory, { recursive: true, force: true }),
    }
  }
  const fixture = await create()
  try {
    const store = await fixture.location.open()
    const features = { ...store.features }
    await store.close()
    return { create, features, damage: { detects: 'all' }, outsideFaults: true }
  } finally {
    await fixture.destroy()
  }
}
