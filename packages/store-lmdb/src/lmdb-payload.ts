import { join } from 'node:path'
import type { FoldFacts, PayloadFormat, TakeUpdates } from '@slip/kv-core'
import { updatesOf } from '@slip/kv-core/store-parts'
import { openEnvironment } from './environment.ts'
import { checkFile } from './file-check.ts'
import { FoldCut } from './fold-cut.ts'
import { FoldView } from './fold-view.ts'
import { DEFAULT_MAX_READERS } from './lmdb-options.ts'

/** What `copyTo` calls its file. */
export const COPY_NAME = 'fold.mdb'

/** A file of LMDB, of layout generation 2, as the payload of an artifact. */
export const lmdbPayload: PayloadFormat = {
  backend: 'lmdb',
  layouts: { 2: [COPY_NAME] },
  check: async (directory, _version, { signal } = {}) => checkCopy(join(directory, COPY_NAME), signal),
  updates: async (directory, _version, take, { signal } = {}) =>
    readUpdates(join(directory, COPY_NAME), take, signal),
}

/** Reads every page and every record by plain reads. SnapshotError `Corrupted`, `InvalidFormat`, `NotFound`, `Io`. */
export async function checkCopy(file: string, signal: AbortSignal | undefined): Promise<FoldFacts> {
  const { cursor, lineage, entries } = await checkFile(file, 'records', { signal })
  return { cursor, lineage, entries }
}

/** The library makes a lock file beside the one it reads. */
async function readUpdates(file: string, take: TakeUpdates, signal: AbortSignal | undefined): Promise<void> {
  const environment = await openEnvironment(file, {
    synced: true,
    reads: 'readOnlyFile',
    maxReaders: DEFAULT_MAX_READERS,
  })
  try {
    const cut = FoldCut.newest(environment, file, () => undefined, { show: false })
    const view = new FoldView(cut, { verifyReads: false, deadlineMs: undefined })
    try {
      await updatesOf(view, { signal }).read(take)
    } finally {
      view.close()
      cut.release()
    }
  } finally {
    await environment.root.close()
  }
}
