export interface InheritsPartsInput {
  /** Names of the parts that an artifact would take over from others. */
  readonly inherited: readonly string[]
  /** Names of the parts of what the pointer names, as it was read for the swap; undefined when there are none. */
  readonly pointer: readonly string[] | undefined
}

/**
 * Whether the pointer may be moved to an artifact that takes parts over: each of them has to be a part of what
 * the pointer names when the swap finds it unmoved. Those are listed by the payload that nobody may prune; a
 * part of an artifact that was replaced may be gone already, however young it was when it was looked for.
 */
export function inheritsParts({ inherited, pointer }: InheritsPartsInput): boolean {
  return inherited.every((name) => pointer?.includes(name) === true)
}
