/** What a session knew when its consumer was made. */
export interface SessionStart {
  /** The cursor's sequence; 0 without one. */
  readonly after: number
  /** `last_seq` of the stream, read before the consumer was made. */
  readonly streamLast: number
  /** `num_pending` of the create reply. */
  readonly pending: number
  /**
   * The stream has one replica. A consumer on a follower of a replicated stream may be behind
   * `streamLast`, so that its pending count of 0 proves nothing below it.
   */
  readonly singleReplica: boolean
}

/** Why a session cannot go on: messages were lost between the server and us, or the order broke. */
export type Fault =
  | { readonly kind: 'gap'; readonly expected: number; readonly got: number }
  | { readonly kind: 'lost'; readonly sent: number; readonly received: number }
  | { readonly kind: 'order'; readonly frontier: number; readonly got: number }

/**
 * The state machine of one consumer: how many messages came, up to where nothing is undelivered
 * (`frontier`), and whether everything that existed at the start was delivered (`caughtUp`). It has
 * no clock and no socket.
 *
 * Caught up is: nothing was pending at creation, or a delivery says nothing is pending, or a
 * heartbeat that is not stalled counts what we counted and stands at or past `streamLast`. Neither
 * counting the initial messages nor passing `streamLast` would do: an overwritten key moves behind
 * newer ones.
 */
export class Readiness {
  readonly #start: SessionStart
  #received = 0
  #frontier: number
  #caughtUp = false

  constructor(start: SessionStart) {
    this.#start = start
    this.#frontier = start.after
    if (start.pending === 0 && start.singleReplica) {
      this.#frontier = Math.max(start.after, start.streamLast)
      this.#caughtUp = true
    }
  }

  get received(): number {
    return this.#received
  }

  get frontier(): number {
    return this.#frontier
  }

  get caughtUp(): boolean {
    return this.#caughtUp
  }

  delivered(streamSequence: number, consumerSequence: number, pending: number): Fault | undefined {
    if (consumerSequence !== this.#received + 1)
      return { kind: 'gap', expected: this.#received + 1, got: consumerSequence }
    if (streamSequence <= this.#frontier)
      return { kind: 'order', frontier: this.#frontier, got: streamSequence }
    this.#received = consumerSequence
    this.#frontier = streamSequence
    if (pending === 0 && (this.#start.singleReplica || streamSequence >= this.#start.streamLast))
      this.#caughtUp = true
    return undefined
  }

  /** `lastConsumer` and `lastStream` are the heartbeat's; `stalled` when flow control holds it back. */
  heartbeat(lastConsumer: number, lastStream: number, stalled: boolean): Fault | undefined {
    if (lastConsumer !== this.#received) return { kind: 'lost', sent: lastConsumer, received: this.#received }
    if (stalled) return undefined
    this.#frontier = Math.max(this.#frontier, lastStream)
    if (lastStream >= this.#start.streamLast) this.#caughtUp = true
    return undefined
  }
}
