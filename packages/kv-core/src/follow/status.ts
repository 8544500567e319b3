import type { WatchCursor } from '../cursor.ts'
import type { Recovery } from '../store.ts'

/** Only `live` claims that the fold is in step. */
export type FollowState =
  | 'opening'
  | 'connecting'
  | 'catchingUp'
  | 'live'
  | 'resyncing'
  | 'stale'
  | 'failed'
  | 'closed'

/**
 * A check that is off because the store or the source cannot say what it needs. `count`: also where the
 * fold keeps what its bucket evicted, so that their numbers of keys differ. `revisions`: the bucket
 * keeps more than one revision of a key, so that equal counts do not prove values.
 */
export type Unverified = 'lineage' | 'count' | 'anchors' | 'revisions'

/** Where a follower stands, at one moment. Counts are of this process. */
export interface FollowStatus {
  readonly state: FollowState
  /** An error code, or a short word such as `bucketRecreated`. While a batch is retried, the code of its failure. */
  readonly reason?: string
  /** The last failure of the source, of `apply` or of a commit, or what ended the follower; gone once it is over. */
  readonly error?: Error
  /** Why no artifact took the place of a fold that is far behind (`FollowOptions.bootstrapBehind`), since one was asked for last. */
  readonly bootstrapError?: Error
  readonly appliedCursor: WatchCursor
  readonly durableCursor: WatchCursor
  /** The newest revision of the bucket that was heard of. */
  readonly streamLast?: bigint
  /** `streamLast` minus the applied revision; 0 when live. */
  readonly lag?: bigint
  /**
   * At this revision the fold was found to equal the bucket: by the number of keys; where the bucket keeps
   * more than one revision of a key, by a listing of keys and revisions.
   */
  readonly verifiedThrough?: bigint
  readonly entries: number
  /** Every update handed to the fold: delivered ones, repairs, synthetic deletes. */
  readonly applied: number
  /** In-scope updates that hydration or watch handed to the fold. */
  readonly delivered: number
  /** Key and value bytes of the delivered updates. */
  readonly deliveredBytes: number
  /** Entries read for repairs. */
  readonly relisted: number
  /** Keys the store could not hold. */
  readonly skipped: number
  readonly sessions: number
  readonly unverified: readonly Unverified[]
  /** Unix milliseconds of the last proof of life. */
  readonly lastContactMs?: number
  /** What opening had to repair. */
  readonly recovery?: Recovery
}
