import type { KeyCounts, Protocol } from '@slip/kv-core'
import type { AttachState } from './attach-state.ts'

/** The counts were equal, or the follower begins anew. */
export function forgetListings(s: AttachState): void {
  s.listings = 0
  s.listedBucket = 0
  s.listedFold = 0
}

/** The bucket was listed for a wrong count, and it is still wrong. */
export function listedInVain(rules: Protocol, s: AttachState, counts: KeyCounts): void {
  const listings = s.listings + 1
  const before =
    s.listedBucket === 0
      ? undefined
      : { keyCount: BigInt(s.listedBucket - 1), foldCount: BigInt(s.listedFold - 1) }
  const again = rules.listAgain({ listings, counts, before })
  s.distrusted = again ? 0 : 1
  // Who lists no more compares no more.
  if (!again) return forgetListings(s)
  s.listings = listings
  s.listedBucket = Number(counts.keyCount) + 1
  s.listedFold = Number(counts.foldCount) + 1
}
