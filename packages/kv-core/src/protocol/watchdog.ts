export interface WatchdogInput {
  readonly nowMs: number
  /** When something last proved that the source is alive. */
  readonly lastProofMs: number
  readonly staleAfterMs: number
}

/** `stale` once nothing proved liveness for `staleAfterMs`. */
export function watchdog(input: WatchdogInput): 'live' | 'stale' {
  return input.nowMs - input.lastProofMs >= input.staleAfterMs ? 'stale' : 'live'
}
