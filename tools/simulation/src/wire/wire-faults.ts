/** What the way to the bucket does wrong, and how often: chances are for one call, batch or session. */
export interface WireFaults {
  /** One way, in the mean, and how often a message takes a thousand times as long. */
  readonly latencyMs: number
  readonly late: number
  /** A call is refused. */
  readonly refuses: number
  /** A call is never answered. */
  readonly hangs: number
  /** A session ends with an error instead of its next batch. */
  readonly breaks: number
  /** A session falls silent for good. */
  readonly silence: number
  /** A batch comes twice. */
  readonly duplicates: number
  /** A session begins with what the one before it delivered last. */
  readonly stale: number
  /** Of the errors, how many have no code. */
  readonly untyped: number
  /** An abort is not heard. */
  readonly deaf: number
}

export const HEALTHY_WIRE: WireFaults = {
  latencyMs: 1,
  late: 0,
  refuses: 0,
  hangs: 0,
  breaks: 0,
  silence: 0,
  duplicates: 0,
  stale: 0,
  untyped: 0,
  deaf: 0,
}
