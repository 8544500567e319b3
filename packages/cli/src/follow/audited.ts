import { setTimeout as sleep } from 'node:timers/promises'
import type { Follower } from '@slip/kv-core'

const LOOK_EVERY_MS = 25

/**
 * Waits until the fold has caught up and was found to hold as many keys as the bucket. Gives up the
 * second after `withinMs`, and at once where it cannot be told; rejects when the follower ends first.
 */
export async function caughtUpAndAudited(
  follower: Follower,
  options: { readonly audits: boolean; readonly withinMs: number },
): Promise<void> {
  await follower.caughtUp()
  const until = performance.now() + (options.audits ? options.withinMs : 0)
  // A sparse scope reaches the end of the bucket only with the next bookmark, and a mismatch is mended first.
  while (performance.now() < until) {
    const { state, verifiedThrough, unverified } = follower.status
    if (state === 'live' && (verifiedThrough !== undefined || unverified.includes('count'))) return
    await sleep(LOOK_EVERY_MS)
  }
  await follower.caughtUp()
}
