import type { KvUpdate } from '../entry.ts'
import type { WantedFold } from '../protocol/admit-artifact.ts'
import type { SnapshotStore } from '../store.ts'
import { FoldKeeper } from './fold-keeper.ts'
import { FollowHandle } from './follow-handle.ts'
import { followSettings } from './follow-settings.ts'
import type { Follower } from './follower.ts'
import type { FollowOptions } from './options.ts'

/**
 * Keeps a durable local fold of a bucket in step, and heals it. Resolves as soon as the fold is open
 * and can be read, before the source is reachable.
 *
 * A damaged fold is set aside and built anew, which `status.recovery` says. Rejects with SnapshotError
 * `Busy` or `InvalidFormat` when the fold belongs to another writer or is not ours, and with the
 * signal's reason; nothing is touched then.
 */
export async function follow<S extends SnapshotStore, T = KvUpdate>(
  options: FollowOptions<S, T>,
): Promise<Follower<S>> {
  const settings = followSettings(options)
  const signal = options.signal ?? new AbortController().signal
  signal.throwIfAborted()
  const { bootstrap } = options
  const wanted: WantedFold = { whenEvicted: settings.whenEvicted, prefixes: settings.prefixes }
  const keeper = await FoldKeeper.open(
    options.store,
    signal,
    bootstrap && ((into, waiting) => bootstrap(into, { ...waiting, wanted })),
  )
  if (signal.aborted) {
    await keeper.close()
    signal.throwIfAborted()
  }
  return new FollowHandle(keeper, options, settings)
}
