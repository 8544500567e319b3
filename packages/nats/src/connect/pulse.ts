import type { NatsConnection as Client } from '@nats-io/nats-core'

const PROBE_EVERY_MS = 1_000
const HEALTHY_FOR_MS = 3_000

/**
 * Knows when the server last proved to be there: by a pong to our own probe each second, or by bytes.
 * A proof counts for 3 s, by a clock that runs on while this process or its machine stands still.
 */
export class Pulse {
  readonly #client: Client
  readonly #timer: NodeJS.Timeout
  #provenAt = 0
  #received = -1
  #probing = false
  #stopped = false

  constructor(client: Client) {
    this.#client = client
    this.#timer = setInterval(() => this.#probe(), PROBE_EVERY_MS)
    this.#timer.unref()
    this.#probe()
  }

  get healthy(): boolean {
    const age = Date.now() - this.#provenAt
    return !this.#stopped && !this.#client.isClosed() && age >= 0 && age < HEALTHY_FOR_MS
  }

  /** The connection came up. */
  proven(): void {
    this.#provenAt = Date.now()
  }

  /** The connection is gone or in doubt. */
  lost(): void {
    this.#provenAt = 0
  }

  /** Never healthy again, although a borrowed client may go on and report. */
  stop(): void {
    clearInterval(this.#timer)
    this.#stopped = true
  }

  #probe(): void {
    if (this.#client.isClosed()) return
    const { inMsgs } = this.#client.stats()
    if (inMsgs > this.#received && this.#received >= 0) this.proven()
    this.#received = inMsgs
    if (this.#probing) return
    this.#probing = true
    this.#client
      .rtt()
      .then(
        () => this.proven(),
        () => this.lost(),
      )
      .finally(() => (this.#probing = false))
  }
}
