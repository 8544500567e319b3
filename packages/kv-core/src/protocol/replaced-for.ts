/** A payload as its store lists it. */
export interface PutPayload {
  /** In its name; undefined when that has none. */
  readonly rank: bigint | undefined
  /** By the store's clock. */
  readonly putMs: number
}

export interface ReplacedForInput {
  readonly payload: PutPayload
  /** The others that are there, without what the pointer names. */
  readonly others: readonly PutPayload[]
  /** When the pointer was moved last, by the store's clock; undefined when it is not listed. */
  readonly movedMs: number | undefined
}

/**
 * How long a payload has not been the newest one, in milliseconds; at least so long, and 0 where that cannot be told. Who reads
 * it has begun before. All by the store's clock, whose time is at least that of the youngest object: a clock
 * of one's own may be ahead. The pointer went past the payload no later than it was moved last, and not before the
 * first of higher rank was put behind it.
 */
export function replacedForMs({ payload, others, movedMs }: ReplacedForInput): number {
  if (movedMs === undefined) return 0
  let [nowMs, replacedMs] = [movedMs, movedMs]
  for (const { rank, putMs } of others) {
    nowMs = Math.max(nowMs, putMs)
    const isAbove = (rank ?? 0n) > (payload.rank ?? Infinity)
    if (isAbove && putMs > payload.putMs) replacedMs = Math.min(replacedMs, putMs)
  }
  return replacedMs > payload.putMs ? nowMs - replacedMs : 0
}
