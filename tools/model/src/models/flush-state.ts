import { Layout, type State } from '../explorer/layout.ts'

export interface FlushOptions {
  readonly name: string
  readonly updates: number
  /** Updates in a batch, at most. @default 2 */
  readonly batch?: number
  /** `synced` commits are on the disk when they resolve; `os` ones are in the system's cache. */
  readonly durability: 'os' | 'synced'
  /** @default true */
  readonly reopenable?: boolean
  /** The update that the store refuses; none unless given. */
  readonly poison?: number
  /** Whether a fold can come back damaged when it is opened again, and is then set aside. */
  readonly damage?: boolean
  /** Whether the caller may end the follower at any moment. */
  readonly aborts?: boolean
  /**
   * What opening after a failed sync makes of the file: `rewrites` it, or `trusts` what the system's cache
   * shows. @default 'rewrites'
   */
  readonly reopening?: 'rewrites' | 'trusts'
  /** Judges only what comes of the decisions. */
  readonly consequencesOnly?: boolean
  /** Whether a process may end, without a word to the next, after a sync failed. @default false */
  readonly forgetsFailure?: boolean
}

export const GOOD = 0
/** Rejected a write. */
export const DONE = 1

export const COLLECTING = 0
/** `apply` was given the batch. */
export const HANDED = 1
/** Waits to give the batch to `apply` again. */
export const APPLY_AGAIN = 2
/** Waits to commit it again. */
export const COMMIT_AGAIN = 3

export const RUNNING = 0
export const ENDED = 1
export const FAILED = 2

/** How a decision can be wrong, each with the property that says so. */
export const WRONGS = [
  '',
  'a failure within the budget does not end the follower',
  'no retry after the budget is spent',
  'a commit in doubt is never a quiet end',
  'no retry after the caller ended',
  'a poisoned batch is not tried again',
  'a failed handle is not written again',
  'an abort ends a failing apply quietly',
  'what cannot be opened again is not tried again',
] as const

export type FlushFields = {
  readonly up: number
  readonly delivered: number
  readonly memory: number
  readonly told: number
  /** Bits of the updates `apply` was ever given. */
  readonly given: number
  /** What the follower knows of that in this life. */
  readonly handed: number
  /** What is true of it. */
  readonly life: number
  readonly file: number
  readonly torn: number
  /** What was written after a torn frame, or over one that was dropped, is beyond recovery. */
  readonly hole: number
  readonly disk: number
  /** A failed sync dropped what lies between the disk and the file. */
  readonly lost: number
  readonly claimed: number
  readonly handle: number
  readonly stage: number
  readonly failing: number
  readonly spent: number
  readonly aborted: number
  readonly ended: number
  readonly twice: number
  readonly gap: number
  readonly wrong: number
}

export type FlushState = State<FlushFields>

export function flushLayout({ updates }: FlushOptions): Layout<FlushFields> {
  const positions = updates + 1
  return new Layout<FlushFields>({
    up: 2,
    delivered: positions,
    memory: positions,
    told: positions,
    given: 2 ** updates,
    handed: positions,
    life: positions,
    file: positions,
    torn: 2,
    hole: 2,
    disk: positions,
    lost: 2,
    claimed: positions,
    handle: 2,
    stage: 4,
    failing: 2,
    spent: 2,
    aborted: 2,
    ended: 3,
    twice: 2,
    gap: 2,
    wrong: WRONGS.length,
  })
}
