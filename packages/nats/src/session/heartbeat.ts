import { HEARTBEAT_MS } from './consumer-config.ts'

/** How often the silence is measured, in milliseconds. */
export const TICK_MS = 100
/** A heartbeat this late makes us ask the server whether the consumer is still there. */
export const PROBE_AFTER_MS: number = HEARTBEAT_MS * 1.3
/** Silence that ends a session. */
export const DEAD_AFTER_MS = 3_000
/** A tick later than this was our own event loop standing still, with messages waiting unread behind it. */
const MAX_TICK_MS = 2 * TICK_MS

export type SilenceVerdict = 'alive' | 'probe' | 'dead'

/**
 * Measures the silence of a subscription. Pure: it is told of messages and of passed time.
 *
 * A push consumer that is deleted sends nothing to say so. `probe` comes once for each
 * `PROBE_AFTER_MS` of silence; `dead` at `DEAD_AFTER_MS`.
 */
export class Silence {
  #silentMs = 0
  #probes = 0
  #heard = false

  heard(): void {
    this.#silentMs = 0
    this.#probes = 0
    this.#heard = true
  }

  /** Whether there was a message since this was asked last. */
  takeHeard(): boolean {
    const heard = this.#heard
    this.#heard = false
    return heard
  }

  passed(ms: number): SilenceVerdict {
    this.#silentMs += Math.min(ms, MAX_TICK_MS)
    if (this.#silentMs >= DEAD_AFTER_MS) return 'dead'
    if (this.#silentMs < (this.#probes + 1) * PROBE_AFTER_MS) return 'alive'
    this.#probes++
    return 'probe'
  }
}
