import type { FollowState } from './status.ts'

/** What a follower's state is made of. */
export interface Standing {
  /** The state, silence aside. */
  readonly base: Exclude<FollowState, 'stale'>
  /** Whether nothing proved liveness for too long. */
  readonly silent: boolean
  /** Whether the source ever answered: silence before that is `connecting`. */
  readonly contacted: boolean
  readonly reason: string | undefined
}

export type FollowEvent =
  | { readonly type: 'opened' }
  /** The source could not be opened or described. */
  | { readonly type: 'sourceFailed'; readonly reason: string }
  /** The source answered, or yielded a batch. */
  | { readonly type: 'proof' }
  | { readonly type: 'silence' }
  | { readonly type: 'attached' }
  | { readonly type: 'rebuilding'; readonly reason: string }
  | { readonly type: 'caughtUp' }
  | { readonly type: 'sessionEnded'; readonly reason: string }
  | { readonly type: 'failed'; readonly reason: string }
  | { readonly type: 'closed' }

export const OPENING: Standing = { base: 'opening', silent: false, contacted: false, reason: undefined }

/** The next standing; the same object when nothing changed. Nothing follows `failed` but `closed`, nothing follows `closed`. */
export function reduceStatus(standing: Standing, event: FollowEvent): Standing {
  const { base } = standing
  if (base === 'closed' || (base === 'failed' && event.type !== 'closed')) return standing
  switch (event.type) {
    case 'opened':
      return { ...standing, base: 'connecting' }
    case 'sourceFailed':
    case 'sessionEnded':
      return { ...standing, base: 'connecting', reason: event.reason }
    case 'proof':
      return standing.silent || !standing.contacted
        ? { ...standing, silent: false, contacted: true }
        : standing
    case 'silence':
      return standing.silent || !standing.contacted ? standing : { ...standing, silent: true }
    case 'attached':
      return { ...standing, base: 'catchingUp', reason: undefined }
    case 'rebuilding':
      return { ...standing, base: 'resyncing', reason: event.reason }
    case 'caughtUp':
      return { ...standing, base: 'live', reason: undefined }
    case 'failed':
      return { ...standing, base: 'failed', reason: event.reason }
    default:
      return { ...standing, base: 'closed', reason: undefined }
  }
}

/** The state a follower shows. */
export function visibleState({ base, silent }: Standing): FollowState {
  return silent && base !== 'failed' && base !== 'closed' ? 'stale' : base
}

/** The reason it shows; silence without another cause is `silent`. */
export function visibleReason(standing: Standing): string | undefined {
  return standing.reason ?? (visibleState(standing) === 'stale' ? 'silent' : undefined)
}
