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
  /** Why the batch in hand does not get through; undefined while batches do. */
  readonly held: string | undefined
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
  /** `apply` or a commit failed and is tried again. */
  | { readonly type: 'held'; readonly reason: string }
  | { readonly type: 'released' }
  | { readonly type: 'sessionEnded'; readonly reason: string }
  | { readonly type: 'failed'; readonly reason: string }
  | { readonly type: 'closed' }

export const OPENING: Standing = {
  base: 'opening',
  silent: false,
  contacted: false,
  reason: undefined,
  held: undefined,
}

/** The next standing; the same object when nothing changed. Nothing follows `failed` but `closed`, nothing follows `closed`. */
export function reduceStatus(standing: Standing, event: FollowEvent): Standing {
  const { base } = standing
  if (base === 'closed' || (base === 'failed' && event.type !== 'closed')) return standing
  switch (event.type) {
    case 'opened':
      return { ...standing, base: 'connecting' }
    case 'sourceFailed':
    case 'sessionEnded':
      return { ...standing, base: 'connecting', reason: event.reason, held: undefined }
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
    case 'held':
      return standing.held === event.reason ? standing : { ...standing, held: event.reason }
    case 'released':
      return standing.held === undefined ? standing : { ...standing, held: undefined }
    case 'failed':
      return { ...standing, base: 'failed', reason: event.reason, held: undefined }
    default:
      return { ...standing, base: 'closed', reason: undefined, held: undefined }
  }
}

/** The state a follower shows. A fold that cannot take the batch in hand is behind, so it is not `live`. */
export function visibleState({ base, silent, held }: Standing): FollowState {
  if (base === 'failed' || base === 'closed') return base
  if (silent) return 'stale'
  return base === 'live' && held !== undefined ? 'catchingUp' : base
}

/** The reason it shows; silence without another cause is `silent`. */
export function visibleReason(standing: Standing): string | undefined {
  return standing.held ?? standing.reason ?? (visibleState(standing) === 'stale' ? 'silent' : undefined)
}
