export interface LeaseInput {
  /** Whether the key has a value, be it the empty one that an abandoned lease leaves. */
  readonly found: boolean
  /** 0 where the value is no record of a lease. */
  readonly expiresAtUnix: bigint
  readonly nowMs: number
  /** How long the round takes, at most. */
  readonly ttlMs: number
}

export type LeaseDecision =
  | 'held'
  | {
      /** The key has to be created, or the value that was found to be swapped. */
      readonly write: 'create' | 'swap'
      readonly acquiredAtUnix: bigint
      readonly expiresAtUnix: bigint
    }

const MOST_SECONDS = 0xffff_ffff_ffff_ffffn

/**
 * Whether the lease of a round may be taken, in whole seconds as the record has them: a live one ends later
 * than the second that has begun. Whole seconds are added as they are; anything shorter makes a lease that
 * lasts at least as long. It only saves work: two holders at once cost an export.
 */
export function lease({ found, expiresAtUnix, nowMs, ttlMs }: LeaseInput): LeaseDecision {
  const now = wholeSeconds(Math.floor(nowMs / 1000))
  if (expiresAtUnix > now) return 'held'
  const expires =
    ttlMs % 1000 === 0 ? now + wholeSeconds(ttlMs / 1000) : wholeSeconds(Math.ceil((nowMs + ttlMs) / 1000))
  return {
    write: found ? 'swap' : 'create',
    acquiredAtUnix: now,
    expiresAtUnix: BigInt.asUintN(64, expires) === expires ? expires : MOST_SECONDS,
  }
}

/** A clock that stands before 1970 says 0, and a span that is no number the most there is. */
function wholeSeconds(seconds: number): bigint {
  return Number.isFinite(seconds) ? BigInt(Math.max(0, seconds)) : MOST_SECONDS
}
