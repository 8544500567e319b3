import type { WaitOptions } from '../source.ts'
import type { FoldReader, SnapshotStore } from '../store.ts'
import type { VersionToken } from '../token.ts'
import type { Change, ChangesOptions } from './changes.ts'
import type { FollowStatus } from './status.ts'

/**
 * A fold that is kept in step. Reads are synchronous, come from the store in use, and go on while the
 * source is away; after `close` they throw SnapshotError `Closed`.
 */
export interface Follower<S extends SnapshotStore = SnapshotStore> extends FoldReader, AsyncDisposable {
  /** The store in use; another one after a reopening or a rebuild, so do not keep it. */
  readonly store: S
  readonly status: FollowStatus
  /** Called at each change of state or reason; the returned function stops it. */
  onStatus(listener: (status: FollowStatus) => void): () => void
  /**
   * Resolves when everything that existed when the session began is applied. Rejects with KvError
   * `Timeout` after `timeoutMs`, and with the signal's reason; when the follower ends first, with
   * KvError `Closed` or with what ended it.
   */
  caughtUp(options?: WaitOptions): Promise<void>
  /** Resolves when the fold has applied this revision; rejects as `caughtUp` does. */
  waitFor(revision: bigint | VersionToken, options?: WaitOptions): Promise<void>
  /**
   * Changes from now on, after their commit. A reader more than `buffer` behind, or one that began while the
   * fold was made anew, gets KvError `ChangesLagged` and has to read the fold again; the follower never waits
   * for it. Ends when the follower is closed.
   */
  changes(options?: ChangesOptions): AsyncIterable<Change>
  /**
   * Runs `fn` between two flushes; reads go on, applies wait. Calling it inside `apply` and waiting
   * for it there never ends. Rejects with KvError `Closed` after close or abort, and with what ended a
   * follower that failed.
   */
  exclusive<R>(fn: (store: S) => R | Promise<R>): Promise<R>
  /**
   * Settles when the follower ended: fulfilled after close or abort, else rejected with the typed
   * error. A commit that was failing when the end was asked for is such an error. Never an unhandled
   * rejection. A follower that failed keeps its store open for reads, and locked, until `close`.
   */
  readonly closed: Promise<void>
  /**
   * Finishes the batch in hand, syncs and lets go of the store; a batch that `apply` or the store
   * keeps refusing is given up at once, and delivered again to the next follower. Idempotent. Rejects
   * with the store's error when what was applied could not be committed or synced; the store is let go
   * of then too. Resolves when the follower had failed before.
   */
  close(): Promise<void>
}
