/** What a session knew when its consumer was made. */
export interface SessionStart {
  /** The sequence the consumer starts behind; 0 when it starts with each subject's last message. */
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
  /**
   * The server goes through a list of last messages first, which ends at or before this sequence: so it
   * does where more than one message of a subject is kept. Undefined when there is no such list.
   */
  readonly listEnd: number | undefined
}

/** Why a session cannot go on: messages were lost between the server and us, or the order broke. */
export type Fault =
  | { readonly kind: 'gap'; readonly expected: number; readonly got: number }
  | { readonly kind: 'lost'; readonly sent: number; readonly received: number }
  | { readonly kind: 'order'; readonly frontier: number; readonly got: number }

/** What was found behind the position where `asked` was called. `last` is a sequence of the stream. */
export type StreamEnd =
  /** Nothing that the consumer delivers, up to `last`. */
  | { readonly kind: 'nothing'; readonly last: number }
  /** At one instant these subjects and no others had a message there; the last one at `last`. */
  | { readonly kind: 'subjects'; readonly subjects: ReadonlySet<string>; readonly last: number }
  /** That cannot be read; the stream had reached `last`. */
  | { readonly kind: 'unreadable'; readonly last: number }

/** Above this many messages to come it is too early to ask what is left. */
const NEARLY_NOTHING = 10_000
const MAX_REMEMBERED = 1 << 17

/**
 * The state machine of one consumer: how many messages came, up to where nothing is undelivered
 * (`frontier`), and whether everything that existed at the start was delivered (`caughtUp`). It has
 * no clock and no socket.
 *
 * Two things are proofs. Nothing pending at creation: that count is of one instant. And a heartbeat that
 * is not stalled, counts what we counted and stands at or past `streamLast`: the server sends it when it
 * has looked for more and found nothing. (With a list of last messages it only asks: see `stuck`.)
 *
 * That a delivery says nothing is pending is no proof. A write removes its key's older message at once,
 * and the server counts the new one a moment later: a key can be behind the frontier in neither form.
 * So then it is asked what stands behind the frontier (`due`). A key of the start that was not delivered
 * has a message there; so when everything found there was delivered since, nothing is missing. What was
 * found and overwritten again is found again by the next question: a key leaves `missing` when it is
 * delivered, or has no message behind the frontier any more.
 */
export class Readiness {
  readonly #start: SessionStart
  #received = 0
  #frontier: number
  #atEnd = false
  #asking = false
  #due = false
  #stuck = false
  #caughtUp = false
  /** Subjects delivered since the question that is out. */
  readonly #since = new Set<string>()
  /** Subjects found behind the frontier and not delivered since. */
  #missing: Set<string> | undefined
  /** The next question comes when the frontier is here. */
  #notBefore = 0
  /** Caught up when the frontier is here, for want of anything better. */
  #settleAt = Infinity

  constructor(start: SessionStart) {
    this.#start = start
    this.#frontier = start.after
    if (start.pending === 0 && start.singleReplica) {
      this.#frontier = Math.max(start.after, start.streamLast)
      this.#caughtUp = true
      this.#atEnd = true
    }
  }

  get received(): number {
    return this.#received
  }

  get frontier(): number {
    return this.#frontier
  }

  /**
   * The server had nothing to send beyond the frontier when it sent what came last. It counts a write a moment
   * after the write removed its key's older message: within that moment this says too much.
   */
  get atEnd(): boolean {
    return this.#atEnd
  }

  get caughtUp(): boolean {
    return this.#caughtUp
  }

  /** It has to be found out what stands behind the frontier: `asked`, then `answered` or `unanswered`. */
  get due(): boolean {
    return this.#due
  }

  /**
   * The server waits for half a second at each message of its list of last messages that was removed
   * since the list was made, and says that it has nothing more, which is not so. Another consumer, that
   * starts behind the frontier, does not use such a list.
   */
  get stuck(): boolean {
    return this.#stuck
  }

  /** `subject` is looked at during the call only. */
  delivered(
    streamSequence: number,
    consumerSequence: number,
    pending: number,
    subject: Uint8Array,
  ): Fault | undefined {
    if (consumerSequence !== this.#received + 1)
      return { kind: 'gap', expected: this.#received + 1, got: consumerSequence }
    if (streamSequence <= this.#frontier)
      return { kind: 'order', frontier: this.#frontier, got: streamSequence }
    this.#received = consumerSequence
    this.#frontier = streamSequence
    this.#atEnd = pending === 0
    if (this.#caughtUp) return undefined
    if (this.#asking || this.#missing !== undefined) this.#tick(subjectText(subject))
    if (streamSequence >= this.#settleAt) this.#end()
    else if (!this.#asking && streamSequence >= this.#notBefore && this.#nearTheEnd(pending)) this.#due = true
    return undefined
  }

  /** `lastConsumer` and `lastStream` are the heartbeat's; `stalled` when flow control holds it back. */
  heartbeat(lastConsumer: number, lastStream: number, stalled: boolean): Fault | undefined {
    if (lastConsumer !== this.#received) return { kind: 'lost', sent: lastConsumer, received: this.#received }
    if (stalled) return undefined
    const { listEnd, streamLast } = this.#start
    if (listEnd !== undefined && lastStream < listEnd) this.#stuck = true
    else if (listEnd !== undefined && !this.#caughtUp) this.#due = !this.#asking
    else {
      this.#frontier = Math.max(this.#frontier, lastStream)
      this.#atEnd = true
      if (lastStream >= streamLast) this.#end()
    }
    return undefined
  }

  asked(): void {
    this.#due = false
    this.#asking = true
    this.#since.clear()
  }

  /** The question failed: a later message decides that it is asked again. */
  unanswered(): void {
    this.#asking = false
    this.#notBefore = this.#frontier + 1
  }

  answered(end: StreamEnd): void {
    if (this.#caughtUp) return
    this.#asking = false
    if (end.kind === 'nothing') {
      this.#frontier = Math.max(this.#frontier, end.last)
      this.#atEnd = true
      this.#end()
    } else if (end.kind === 'unreadable') {
      this.#settleAt = end.last
      if (this.#frontier >= end.last) this.#end()
    } else if (this.#since.size >= MAX_REMEMBERED) {
      this.#notBefore = end.last
    } else {
      const before = this.#missing
      this.#missing = new Set<string>()
      for (const subject of end.subjects)
        if (!this.#since.has(subject) && before?.has(subject) !== false) this.#missing.add(subject)
      this.#notBefore = end.last
      if (this.#missing.size === 0) this.#end()
    }
  }

  #nearTheEnd(pending: number): boolean {
    const { singleReplica, streamLast } = this.#start
    if (this.#missing !== undefined) return true
    return this.#frontier >= streamLast ? pending < NEARLY_NOTHING : pending === 0 && singleReplica
  }

  #tick(subject: string): void {
    if (this.#asking && this.#since.size < MAX_REMEMBERED) this.#since.add(subject)
    if (this.#missing?.delete(subject) === true && this.#missing.size === 0) this.#end()
  }

  #end(): void {
    this.#caughtUp = true
    this.#due = false
    this.#since.clear()
    this.#missing = undefined
  }
}

/** A subject's bytes as text, one character each: they need not be UTF-8. */
export function subjectText(subject: Uint8Array): string {
  return Buffer.from(subject.buffer, subject.byteOffset, subject.length).toString('latin1')
}
