export interface ProofOfLifeInput {
  readonly nowMs: number
  /** When something last proved that the source is alive. */
  readonly lastProofMs: number
  /** When what is here now came from the source; undefined where that is not told. */
  readonly receivedAtMs: number | undefined
}

/**
 * When something last proved that the source is alive, after something of it was taken. It proves that at the time it
 * came: what waited until it was taken says nothing of the time since. A source that does not tell waited for nobody.
 */
export function proofOfLife({ nowMs, lastProofMs, receivedAtMs = nowMs }: ProofOfLifeInput): number {
  return Math.max(lastProofMs, Math.min(receivedAtMs, nowMs))
}
