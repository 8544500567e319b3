import { setTimeout as wait } from 'node:timers/promises'
import type { FollowStatus } from '@slip/kv-core'
import type { FollowedFold } from './followed-fold.ts'

const LOOK_EVERY_MS = 10

/** Gives the milliseconds until a follower's status is as wanted. */
export async function untilStatus(
  followed: FollowedFold,
  what: string,
  wanted: (status: FollowStatus) => boolean,
  timeoutMs: number,
): Promise<number> {
  const from = performance.now()
  for (;;) {
    const { status } = followed
    const tookMs = performance.now() - from
    if (wanted(status)) return tookMs
    if (tookMs > timeoutMs)
      throw new Error(
        `not ${what} after ${timeoutMs} ms: ${status.state} (${status.reason}), verified through ${status.verifiedThrough}`,
      )
    await wait(LOOK_EVERY_MS)
  }
}
