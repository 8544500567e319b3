const JITTER = 0.1
const MOST_JITTER_MS = 30_000
const FIRST_RETRY_MS = 1_000

export interface RoundPace {
  readonly everyMs: number
  /** From 0 to 1. */
  readonly random: number
}

/**
 * Milliseconds until the next look at a lease that may be taken in `freeInMs`. Two looks a round at least: who
 * finds another lease than at the look before then knows that it is a live one. Up to a tenth of a round later,
 * so that a fleet does not come all at once.
 */
export function nextLookMs(freeInMs: number, { everyMs, random }: RoundPace): number {
  return Math.min(freeInMs, everyMs / 2) + random * Math.min(everyMs * JITTER, MOST_JITTER_MS)
}

/** Milliseconds to wait after the `failures`-th failure in a row, from 1: a second, doubled up to a round, less up to half. */
export function nextTryMs(failures: number, { everyMs, random }: RoundPace): number {
  return Math.min(FIRST_RETRY_MS * 2 ** (failures - 1), everyMs) * (1 - random / 2)
}
