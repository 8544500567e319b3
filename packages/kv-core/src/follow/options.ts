import type { KvUpdate } from '../entry.ts'
import type { SourceOpener } from '../follow-source.ts'
import type { WantedFold } from '../protocol/admit-artifact.ts'
import type { WaitOptions } from '../source.ts'
import type { SnapshotLocation, SnapshotStore } from '../store.ts'
import type { ApplyOptionsOf } from '../watch-applied.ts'

export interface BootstrapOptions extends WaitOptions {
  /** What the fold has to be, as far as it is known yet. */
  readonly wanted: WantedFold
}

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
   * How a fold that fell behind is repaired. `relist`: it is built anew from the source, where a listing is the truth.
   * `restore`: under `keep`, what it missed is taken from an artifact that `bootstrap` gets. `auto`: from the
   * source where that is allowed, else from an artifact. What cannot be repaired so, and all under `none`, ends in
   * KvError `RepairRefused`. @default 'auto'
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
   * Puts a fold there and gives true, or gives false where there is none to be had. Called when nothing local
   * exists: when it throws then, the fold is hydrated from the source, and `FollowStatus.error` says why until that is
   * done. Called also for a repair, with a place beside the fold: when it throws KvError `Unreachable`,
   * `Timeout` or `OutcomeUnknown` the repair is tried again with back-off, and anything else ends the follower.
   * Called also beside a fold that is far behind its bucket (`bootstrapBehind`), and aborted once that has caught
   * up: what it throws then `FollowStatus.bootstrapError` says, and the fold goes on as it is.
   */
  readonly bootstrap?: (into: SnapshotLocation<S>, options: BootstrapOptions) => Promise<boolean>
  /**
   * How many revisions a fold may be behind its bucket, when a session begins, before `bootstrap` is asked for one that is
   * ahead of it by as many. It is fetched while the fold goes on; when it is there first it takes the fold's place, as a rebuild
   * does, with state `resyncing` and reason `behindArtifact`. Needs a store that stages, proof by the bucket's history, and under `keep` a
   * bucket that has evicted nothing. `false`: never. @default the fold's number of entries, and at least 10,000
   */
  readonly bootstrapBehind?: number | false
  readonly signal?: AbortSignal
}
