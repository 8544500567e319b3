import type { FlushOutcome } from '../apply/flusher.ts'
import type { WatchCursor } from '../cursor.ts'
import type { KvUpdate } from '../entry.ts'
import { Slices } from '../slices.ts'
import { protocol } from '../protocol/protocol.ts'
import type { SnapshotStore, StagedFold } from '../store.ts'
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
export function handRemovals<S extends SnapshotStore, T>(
  parts: FoldParts<S, T>,
  cursor: WatchCursor,
  kept: (key: string) => boolean,
): Promise<FlushOutcome> {
  const keys = parts.keeper.store.keys()
  return handDeletes(parts, cursor, keys, { isGone: (key) => !kept(key), changes: true })
}

/**
 * Gives `apply` a delete for what a rebuild that is given up gave and the fold in use lacks: the keys of its
 * staged fold, and those of the batch `inFlight`, in chunks. Readers of changes never had any of it.
 */
export async function takeBack<S extends SnapshotStore, T>(
  parts: FoldParts<S, T>,
  staged: StagedFold,
  inFlight: readonly KvUpdate[],
): Promise<FlushOutcome> {
  const { store } = parts.keeper
  const held = (key: string): boolean | undefined => {
    try {
      return store.has(key)
    } catch {
      return undefined
    }
  }
  const isGone = (key: string): boolean => protocol.takesBack({ held: held(key), relists: true })
  const { cursor } = parts.keeper.figures
  const given = inFlight.flatMap((update) => (update.operation === 'put' ? [update.key] : []))
  const outcome = await handDeletes(parts, cursor, given, { isGone, changes: false })
  return outcome === 'committed'
    ? handDeletes(parts, cursor, staged.keys(), { isGone, changes: false })
    : outcome
}

interface Deletes {
  readonly isGone: (key: string) => boolean
  /** Whether they are held for readers of changes. */
  readonly changes: boolean
}

async function handDeletes<S extends SnapshotStore, T>(
  parts: FoldParts<S, T>,
  cursor: WatchCursor,
  keys: Iterable<string>,
  { isGone, changes }: Deletes,
): Promise<FlushOutcome> {
  const slices = new Slices('follow.apply')
  let sinceYield = 0
  let gone: KvUpdate[] = []
  slices.begin()
  for (const key of keys) {
    if (isGone(key)) gone.push(syntheticDelete(key))
    if (gone.length === CHUNK) {
      slices.end()
      const outcome = await hand(parts, cursor, gone, changes)
      if (outcome !== 'committed') return outcome
      gone = []
      slices.begin()
    } else if (++sinceYield >= YIELD_EVERY) {
      sinceYield = 0
      if (slices.due()) await slices.pause()
    }
  }
  slices.end()
  return gone.length === 0 ? 'committed' : hand(parts, cursor, gone, changes)
}

async function hand<S extends SnapshotStore, T>(
  { keeper, flusher, board, feed }: FoldParts<S, T>,
  cursor: WatchCursor,
  updates: readonly KvUpdate[],
  changes: boolean,
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
  if (changes) feed.hold(updates, 'resync')
  return outcome
}
