import type { KvUpdate } from '../entry.ts'
import { KvError } from '../errors.ts'
import type { SnapshotStore } from '../store.ts'
import type { Follower } from './follower.ts'
import type { FollowOptions } from './options.ts'

/**
 * Keeps a durable local fold of a bucket in step, and heals it. Resolves as soon as the fold is open
 * and can be read, before the source is reachable.
 *
 * Rejects with SnapshotError `Busy` or `InvalidFormat` when the fold belongs to another writer or is
 * not ours; nothing is touched then.
 */
export function follow<S extends SnapshotStore, T = KvUpdate>(
  options: FollowOptions<S, T>,
): Promise<Follower<S>> {
  return Promise.reject(new KvError('Unsupported', `following into ${options.store.backend} is not possible`))
}
