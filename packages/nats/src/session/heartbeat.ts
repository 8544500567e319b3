import { HEARTBEAT_MS } from './consumer-config.ts'

/** How often the silence is measured, in milliseconds. */
export const TICK_MS = 100
/** A heartbeat this late makes us ask the server whether the consumer is still there. */
export const PROBE_AFTER_MS: number = HEARTBEAT_MS * 1.3
/** Silence that ends a session. */
export const DEAD_AFTER_MS = 3_000
/** Silence that ends a session whose consumer never said a word, and has so much to say that finding it may take long. */
export const FIRST_WORD_MS = 30_000
/** How many messages are so much. */
export const MANY_PENDING = 100_000
/** A tick later than this was our own event loop standing still, with messages waiting unread behind it. */
const MAX_TICK_MS = 2 * TICK_MS

export type SilenceVerdict = 'alive' | 'probe' | 'dead'

/**
 * Measures the silence of a subscription. Pure: it is told of messages and of passed time.
 *
 * A push consumer that is deleted sends nothing to say so. `probe` comes once for each
 * `PROBE_AFTER_MS` of silence; `dead` at `endsAfterMs`.
 */
export class Silence {
  #silentMs = 0
  #probes = 0
  #heard = false
  #isPatient = false

  /** How much silence is the end, in milliseconds. */
  get endsAfterMs(): number {
    return this.#isPatient ? FIRST_WORD_MS : DEAD_AFTER_MS
  }

  /** A consumer was made, which has `pending` messages to send. */
  begin(pending: number): void {
    this.#silentMs = 0
    this.#probes = 0
    this.#isPatient = pending >= MANY_PENDING
  }

  heard(): void {
    this.#isPatient = false
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
    if (this.#silentMs >= this.endsAfterMs) return 'dead'
    if (this.#silentMs < (this.#probes + 1) * PROBE_AFTER_MS) return 'alive'
    this.#probes++
    return 'probe'
  }
}
