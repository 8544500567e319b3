import type { SessionEnd } from '../apply/session-loop.ts'
import { KvError } from '../errors.ts'
import type { RebuildReason } from '../protocol/attach.ts'

/** How one session ended; what ends the follower is thrown instead. */
export type FollowEnd =
  | { readonly why: 'aborted' }
  /** The source did not answer: it has to be opened again. */
  | { readonly why: 'unreachable'; readonly error: unknown }
  | { readonly why: 'ended'; readonly reason: string; readonly error?: unknown; readonly caughtUp: boolean }

/** What the next session has to know of the ones before it. */
export interface Carried {
  /** What the attach kernel is told. */
  readonly finding: RebuildReason | undefined
  /** Whether a revision came twice. */
  readonly suspect: boolean
}

export interface SessionOutcome {
  readonly end: SessionEnd
  /** Whether the caller ended the follower. */
  readonly aborted: boolean
  /** Why this side ended the session, and what it found out by then. */
  readonly endedFor: string | undefined
  readonly finding: RebuildReason | undefined
  /** Whether it had a position to go on from. */
  readonly resumed: boolean
  readonly caughtUp: boolean
}

const FINDING_OF_CODE: Partial<Record<string, RebuildReason>> = {
  BucketRecreated: 'bucketRecreated',
  BucketRolledBack: 'bucketRolledBack',
}

/** Names the end of a session, and says what it means for the next one. */
export function followEnd(outcome: SessionOutcome): { readonly end: FollowEnd; readonly carried: Carried } {
  const { end, caughtUp } = outcome
  const finding = findingOf(outcome)
  const carried = { finding, suspect: end.why === 'reattach' }
  if (outcome.aborted) return { end: { why: 'aborted' }, carried }
  const reason = outcome.endedFor ?? (end.why === 'source' ? undefined : (finding ?? reasonOf(end)))
  if (reason !== undefined) return { end: { why: 'ended', reason, caughtUp }, carried }
  const error = end.why === 'source' ? end.error : undefined
  const code = KvError.is(error) ? error.code : 'sourceEnded'
  return { end: { why: 'ended', reason: code, error, caughtUp }, carried }
}

function findingOf({ end, finding, resumed }: SessionOutcome): RebuildReason | undefined {
  if (finding !== undefined) return finding
  if (end.why === 'rebuild') return 'brokenLineage'
  if (end.why !== 'source' || !KvError.is(end.error)) return undefined
  if (resumed && end.error.code === 'CursorExpired') return 'cursorExpired'
  return FINDING_OF_CODE[end.error.code]
}

function reasonOf(end: SessionEnd): string {
  return end.why === 'reattach' ? 'redelivered' : 'storeReopened'
}
