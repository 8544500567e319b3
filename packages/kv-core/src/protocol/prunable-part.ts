import { prunable, type PayloadRank } from './prunable.ts'

export interface PrunablePartInput {
  /** Of the artifact that the part was put for first. */
  readonly part: PayloadRank
  readonly pointer: PayloadRank
  /** Whether what the pointer names lists it, or another payload that is there. */
  readonly isListed: boolean
  /** Whether the pointer, looked at again after the lists were read, still names the same. */
  readonly isPointerStill: boolean
  /** Since it was put, by the store's clock. */
  readonly ageMs: number
  readonly graceMs: number
}

/**
 * Whether a part may be deleted: nobody can be about to publish it. What comes after the pointer takes over only parts that
 * the pointer's artifact lists (`inheritsParts`), so that one it does not list can come back only with the artifact
 * that it was put for, which is refused when it is below the pointer. Only while the pointer stands are the lists
 * that were read all that count: once it moved, what it named may be gone, or be put again with less in its list.
 */
export function prunablePart({ part, isListed, isPointerStill, ...input }: PrunablePartInput): boolean {
  return isPointerStill && !isListed && prunable({ ...input, payload: part, isTarget: false })
}
