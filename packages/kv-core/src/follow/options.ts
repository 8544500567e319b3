import type { KvUpdate } from '../entry.ts'
import type { SourceOpener } from '../follow-source.ts'
import type { WaitOptions } from '../source.ts'
import type { SnapshotLocation, SnapshotStore } from '../store.ts'
import type { ApplyOptionsOf } from '../watch-applied.ts'

export interface FollowOptions<
  S extends SnapshotStore = SnapshotStore,
  T = KvUpdate,
> extends ApplyOptionsOf<T> {
  readonly source: SourceOpener
  readonly store: SnapshotLocation<S>
  /**
   * `drop` mirrors the bucket: keys that expired or were evicted leave the fold. `keep` makes the fold
   * a replica of record: only deletes that somebody wrote remove a key. @default 'drop'
   */
  readonly whenEvicted?: 'drop' | 'keep'
  /**
   * How a fold that fell behind is repaired: `auto` and `relist` build it anew from the source;
   * `restore` and `none` end in KvError `RepairRefused`. @default 'auto'
   */
  readonly repair?: 'auto' | 'relist' | 'restore' | 'none'
  /**
   * A key or value the store cannot hold. `skip`: its name counts for the audit and
   * `FollowStatus.skipped` says how many; `fail`: SnapshotError `LimitExceeded`. @default 'skip'
   */
  readonly oversize?: 'skip' | 'fail'
  /** What is done with the fold of another bucket or scope. @default 'refuse' */
  readonly onForeignFold?: 'refuse' | 'rebuild'
  /** How often the number of keys is compared with the bucket's; false never. @default 60_000 */
  readonly auditIntervalMs?: number | false
  /** How long without proof of life until the state is `stale`. @default 5_000 */
  readonly staleAfterMs?: number
  /**
   * Called when nothing local exists; true when it put a fold there. When it throws the fold is
   * hydrated from the source, and `FollowStatus.error` says why until that is done.
   */
  readonly bootstrap?: (into: SnapshotLocation<S>, options: WaitOptions) => Promise<boolean>
  readonly signal?: AbortSignal
}
