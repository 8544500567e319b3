export interface RestoreKeyInput {
  /** The revision an artifact has of a key; undefined when it lacks the key. */
  readonly artifact: bigint | undefined
  /** The revision the fold has of it; undefined when it lacks the key. */
  readonly local: bigint | undefined
  /** Whether the bucket lists the key, where only the fold has it. */
  readonly listed?: boolean | undefined
}

/**
 * What becomes of a key of a fold that is repaired from an artifact which is ahead of it. The newer of two values
 * counts: a repair that was cut off may have left values of a newer artifact. A key that only the fold has was deleted
 * in between, or is one of those. Of a key that the bucket lists an update is still to come, so it is not taken away
 * to be given back.
 */
export function restoreKey({ artifact, local, listed }: RestoreKeyInput): 'take' | 'leave' | 'remove' {
  if (artifact !== undefined) return local === undefined || artifact > local ? 'take' : 'leave'
  return local === undefined || listed === true ? 'leave' : 'remove'
}
