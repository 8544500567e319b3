import type { FlushOutcome } from '../apply/flusher.ts'
import type { WatchCursor } from '../cursor.ts'
import type { KvUpdate } from '../entry.ts'
import { Slices } from '../slices.ts'
import type { SnapshotStore } from '../store.ts'
import { VersionToken } from '../token.ts'
import type { FoldParts } from './fold-parts.ts'

const CHUNK = 1024
const YIELD_EVERY = 64

/** A removal nobody wrote: a repair found the key gone. */
export function syntheticDelete(key: string): KvUpdate {
  return { operation: 'delete', key, version: VersionToken.unknown, reason: 'resync' }
}

/**
 * Gives `apply` a delete for each key of the fold in use that is not `kept`, in chunks, without
 * holding all of them. The fold itself is not written.
 */
export async function handRemovals<S extends SnapshotStore, T>(
  parts: FoldParts<S, T>,
  cursor: WatchCursor,
  kept: (key: string) => boolean,
): Promise<FlushOutcome> {
  const slices = new Slices('follow.apply')
  let sinceYield = 0
  let gone: KvUpdate[] = []
  slices.begin()
  for (const key of parts.keeper.store.keys()) {
    if (!kept(key)) gone.push(syntheticDelete(key))
    if (gone.length === CHUNK) {
      slices.end()
      const outcome = await hand(parts, cursor, gone)
      if (outcome !== 'committed') return outcome
      gone = []
      slices.begin()
    } else if (++sinceYield >= YIELD_EVERY) {
      sinceYield = 0
      if (slices.due()) await slices.pause()
    }
  }
  slices.end()
  return gone.length === 0 ? 'committed' : hand(parts, cursor, gone)
}

async function hand<S extends SnapshotStore, T>(
  { keeper, flusher, board, feed }: FoldParts<S, T>,
  cursor: WatchCursor,
  updates: readonly KvUpdate[],
): Promise<FlushOutcome> {
  const outcome = await flusher.flush({
    updates,
    cursor,
    phase: 'resync',
    standing: keeper.figures.cursor,
    commit: () => Promise.resolve(),
  })
  if (outcome !== 'committed') return outcome
  board.applied += updates.length
  board.dispatch({ type: 'released' })
  feed.hold(updates, 'resync')
  return outcome
}
