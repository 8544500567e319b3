import { KvError, type KvWatcher, type WatchCursor, type WatchScope } from '@slip/kv-core'
import { failure, ok, type Finding } from './finding.ts'

const WITHIN_MS = 5_000

/** Opens a session like a follower's, behind everything there is, until it has caught up. */
export async function watchFinding(
  watcher: KvWatcher,
  scope: WatchScope,
  after: WatchCursor,
): Promise<Finding> {
  const from = performance.now()
  const signal = AbortSignal.timeout(WITHIN_MS)
  try {
    for await (const batch of watcher.watch(scope, { after, signal }))
      if (batch.caughtUp)
        return ok('watch', `a session was caught up after ${Math.round(performance.now() - from)} ms`)
    return failure('watch', 'a session ended by itself', 'look into the log of the server')
  } catch (error) {
    if (signal.aborted)
      return failure(
        'watch',
        `a session was not caught up within ${WITHIN_MS / 1e3} s`,
        'look at the load of the server, and at the permissions a follower needs (README of @slip/nats)',
      )
    if (!KvError.is(error)) throw error
    return failure(
      'watch',
      `a session fails: ${error.message}`,
      error.code === 'PermissionDenied'
        ? 'allow what a follower needs: the README of @slip/nats lists it'
        : 'mend what the message names',
    )
  }
}
