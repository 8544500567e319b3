import { compareHistories } from '../history-order.ts'

/** What a payload, or the artifact the pointer names, ranks by. */
export interface PayloadRank {
  /** The cursor's, 0 without one; undefined when the name of the payload has none. */
  readonly rank: bigint | undefined
  /** As the artifact states it. */
  readonly incarnation: string | undefined
}

export interface PrunableInput {
  readonly payload: PayloadRank
  readonly pointer: PayloadRank
  readonly isTarget: boolean
  /** How long it has been replaced, by the store's clock (`replacedForMs`). */
  readonly ageMs: number
  readonly graceMs: number
}

/**
 * Whether a payload may be deleted: nobody can be about to publish it. Strictly below the pointer, in its
 * history or an older one, as a publisher of such an artifact is refused; and replaced for at least `graceMs`, for
 * those who still read it. What cannot be ranked stays.
 */
export function prunable({ payload, pointer, isTarget, ageMs, graceMs }: PrunableInput): boolean {
  if (isTarget || !(ageMs >= graceMs)) return false
  if (payload.rank === undefined || pointer.rank === undefined) return false
  const order = compareHistories(payload.incarnation, pointer.incarnation)
  return order === 0 ? payload.rank < pointer.rank : order === -1
}
