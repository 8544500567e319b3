/**
 * What the product is known not to keep, each found here. A run excuses them so that it finds what is
 * not known; `--refuse` excuses none, or not those it names. Whoever closes one takes it out.
 */
export const KNOWN_GAPS = {
  /** Nothing of what a fold remembers speaks of a key it never had. The status is not `live` before the count was compared. */
  cameBack:
    'a key that was purged without a word and comes back with a roll-back is missing until the next audit',
} as const

export type KnownGap = keyof typeof KNOWN_GAPS

/** The names of all. */
export const GAP_NAMES: readonly KnownGap[] = Object.keys(KNOWN_GAPS) as KnownGap[]
