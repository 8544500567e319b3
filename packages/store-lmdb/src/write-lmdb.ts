import type { WaitOptions } from '@slip/kv-core'
import { updatesOf, type FoldSource } from '@slip/kv-core/store-parts'
import { createFold } from './new-fold.ts'

/**
 * Writes a fold as a new one in LMDB. It is whole and synced when it appears. SnapshotError `AlreadyExists`
 * when there is something at `path`, `LimitExceeded` for what it cannot hold; a failure leaves nothing.
 */
export async function writeLmdb(
  path: string,
  source: FoldSource,
  options: WaitOptions = {},
): Promise<{ readonly entries: number; readonly bytes: number }> {
  return createFold({ path }, updatesOf(source, options), options)
}
