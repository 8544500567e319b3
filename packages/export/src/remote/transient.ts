import { setTimeout as delay } from 'node:timers/promises'
import { KvError, SnapshotError } from '@slip/kv-core'

const FIRST_DELAY_MS = 100
const LONGEST_DELAY_MS = 5_000
const MOST_RETRIES = 3
const FINAL = new Set([
  'Unauthorized',
  'PermissionDenied',
  'InvalidKey',
  'Unsupported',
  'Closed',
  'QuotaExceeded',
])

/** Whether the other side may answer if it is asked once more. */
export function isTransient(error: unknown): boolean {
  if (KvError.is(error)) return !FINAL.has(error.code)
  return !SnapshotError.is(error) && !(error instanceof TypeError) && !(error instanceof RangeError)
}

/** Asks up to four times for what does not change anything. */
export async function retried<R>(work: () => Promise<R>, signal: AbortSignal | undefined): Promise<R> {
  for (let attempt = 0; ; attempt++) {
    signal?.throwIfAborted()
    try {
      return await work()
    } catch (error) {
      signal?.throwIfAborted()
      if (!isTransient(error) || attempt === MOST_RETRIES) throw error
      await backOff(attempt, signal)
    }
  }
}

/** Longer each time, and not the same for everybody. */
export async function backOff(attempt: number, signal: AbortSignal | undefined): Promise<void> {
  const most = Math.min(FIRST_DELAY_MS * 2 ** attempt, LONGEST_DELAY_MS)
  await delay(most * (0.5 + Math.random() / 2), undefined, { signal }).catch(() => signal?.throwIfAborted())
}
