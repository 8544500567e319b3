/**
 * What a process that looks at a lease again and again knows of it by its own clock, one that only goes
 * forward, so that the holder's clock and its own may differ.
 */
export interface LeaseSighting {
  /** From its beginning to its end, as the record states them; nothing is known by it unless it is above 0. */
  readonly lastsMs: number
  /** It has been there for so long at least. */
  readonly atLeastMs: number
  /** It has been there for so long at most; Infinity where the first look found it. */
  readonly atMostMs: number
}

export interface LeaseInput {
  /** Whether the key has a value, be it the empty one that an abandoned lease leaves. */
  readonly found: boolean
  /** 0 where the value is no record of a lease. */
  readonly expiresAtUnix: bigint
  readonly nowMs: number
  /** How long the round takes, at most. */
  readonly ttlMs: number
  /** undefined for who looks once. */
  readonly sighting?: LeaseSighting | undefined
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
 * than the second that has begun. What was seen of it comes first: one that has been there for all of its
 * time is over, and one that was live when it was seen first is held until then, whatever the clocks say.
 * Whole seconds are added as they are; anything shorter makes a lease that lasts at least as long. It only
 * saves work: two holders at once cost an export.
 */
export function lease({ found, expiresAtUnix, nowMs, ttlMs, sighting }: LeaseInput): LeaseDecision {
  const now = wholeSeconds(Math.floor(nowMs / 1000))
  if (found && (isLive(sighting) ?? expiresAtUnix > now)) return 'held'
  const expires =
    ttlMs % 1000 === 0 ? now + wholeSeconds(ttlMs / 1000) : wholeSeconds(Math.ceil((nowMs + ttlMs) / 1000))
  return {
    write: found ? 'swap' : 'create',
    acquiredAtUnix: now,
    expiresAtUnix: BigInt.asUintN(64, expires) === expires ? expires : MOST_SECONDS,
  }
}

/** undefined where only the clocks can say. */
function isLive(sighting: LeaseSighting | undefined): boolean | undefined {
  if (sighting === undefined || !(sighting.lastsMs > 0)) return undefined
  const { lastsMs, atLeastMs, atMostMs } = sighting
  if (atLeastMs >= lastsMs) return false
  return atMostMs - atLeastMs < lastsMs ? true : undefined
}

/** A clock that stands before 1970 says 0, and a span that is no number the most there is. */
function wholeSeconds(seconds: number): bigint {
  return Number.isFinite(seconds) ? BigInt(Math.max(0, seconds)) : MOST_SECONDS
}
