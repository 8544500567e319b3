import type { WatchCursor } from '../cursor.ts'
import type { SnapshotStore, StagedFold } from '../store.ts'
import type { FoldParts } from './fold-parts.ts'
import { handRemovals, syntheticDelete } from './removals.ts'

const CHUNK = 1024

/**
 * For a store that cannot stage: `apply` is told that every key is gone, the fold is set aside, and
 * an empty one takes its place, visible while it is hydrated. Where it cannot be set aside its keys
 * are deleted; the cursor is none meanwhile, so that a crash in between is rebuilt again. undefined
 * when the caller ended first.
 */
export async function stageInPlace<S extends SnapshotStore, T>(
  parts: FoldParts<S, T>,
  start: WatchCursor,
): Promise<StagedFold | undefined> {
  const { keeper, feed } = parts
  if ((await handRemovals(parts, start, () => false)) !== 'committed') return undefined
  if (keeper.replaceable) await keeper.replace()
  else await emptied(keeper.store, start)
  feed.release()
  const { store } = keeper
  return {
    apply: (batch, cursor, options) => store.apply(batch, cursor, options),
    has: (key) => store.has(key),
    keys: () => store.keys(),
    commit: () => Promise.resolve(),
    discard: () => Promise.resolve(),
  }
}

async function emptied(store: SnapshotStore, start: WatchCursor): Promise<void> {
  for (;;) {
    const updates = [...store.keys('', { limit: CHUNK })].map(syntheticDelete)
    await store.apply(updates, start)
    if (updates.length < CHUNK) return
  }
}
