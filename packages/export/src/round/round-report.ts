import type { WatchCursor } from '@slip/kv-core'

/** What failed beside a round, which is published for all that. */
export interface RoundTrouble {
  readonly step: 'complete' | 'prune' | 'abandon' | 'close'
  readonly error: unknown
}

interface RoundTime {
  /** When it was over, Unix milliseconds. */
  readonly atMs: number
  readonly tookMs: number
  readonly troubles: readonly RoundTrouble[]
}

/** What came of one round of a schedule. */
export type RoundOutcome =
  | {
      /** `superseded`: somebody published a newer artifact meanwhile. */
      readonly outcome: 'published' | 'superseded'
      readonly cursor: WatchCursor
      /** The objects' names. */
      readonly pointer: string
      readonly payload: string
      readonly bytes: number
      readonly sentBytes: number
      readonly receivedBytes: number
    }
  | {
      /** Nothing was exported: what is published is of the fold as it is. */
      readonly outcome: 'unchanged'
      readonly cursor: WatchCursor
      readonly pointer: string
      readonly payload: string
    }
  | {
      /** Another node has the round; told once for each. */
      readonly outcome: 'held'
      readonly holderId: string
    }
  | {
      /** The lease was given back; it is tried again in `retryInMs`. */
      readonly outcome: 'failed'
      readonly error: Error
      readonly retryInMs: number
    }

/** How one round of a schedule went. */
export type RoundReport = RoundTime & RoundOutcome

/** Where a schedule of rounds stands. Counts are of this process. */
export interface RoundsStatus {
  /** `waiting`: for its time, or for a follower that is not in step. */
  readonly state: 'waiting' | 'running' | 'closed'
  readonly published: number
  readonly unchanged: number
  readonly superseded: number
  readonly held: number
  readonly failed: number
  readonly last?: RoundReport
}
