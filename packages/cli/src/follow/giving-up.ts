import { KvError, SnapshotError, type Follower, type FollowState, type KvErrorCode } from '@slip/kv-core'

/** What a source says that waiting does not change. */
const REFUSALS: readonly KvErrorCode[] = ['Unauthorized', 'PermissionDenied', 'BucketNotFound', 'Unsupported']
const WAITING: readonly FollowState[] = ['connecting', 'stale']
const LOOK_EVERY_MS = 100

export interface GivingUp {
  readonly once: boolean
  readonly timeoutMs: number
  /** Called with the error to end with. */
  readonly end: (error: unknown) => void
}

/**
 * Ends a follower that gets nowhere: by itself it waits for ever, which is right for one that has been
 * in step. A refusal ends one that never was; with `once` any refusal does, and a source that could not
 * be used for `timeoutMs`.
 */
export function giveUpWhenStuck(follower: Follower, { once, timeoutMs, end }: GivingUp): () => void {
  let wasInStep = false
  let waitingSince: number | undefined
  const look = (): void => {
    const { state, error, delivered } = follower.status
    wasInStep ||= state === 'live' || delivered > 0
    if (!WAITING.includes(state)) {
      waitingSince = undefined
      return
    }
    waitingSince ??= performance.now()
    const waited = performance.now() - waitingSince
    if (error === undefined) {
      // An attempt that neither succeeds nor fails has a time limit of its own; this is behind it.
      if (once && waited >= 2 * timeoutMs)
        end(new KvError('Unreachable', `the source did not answer within ${Math.round(waited)} ms`))
    } else if (once ? waited >= timeoutMs || isFinal(error) : !wasInStep && isFinal(error)) end(error)
  }
  const stopListening = follower.onStatus(look)
  const timer = setInterval(look, LOOK_EVERY_MS)
  look()
  return () => {
    stopListening()
    clearInterval(timer)
  }
}

function isFinal(error: Error): boolean {
  return KvError.is(error) ? REFUSALS.includes(error.code) : !SnapshotError.is(error)
}
