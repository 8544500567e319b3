import { pause } from '../apply/back-off.ts'
import type { CutSession, SessionCut } from '../apply/session-loop.ts'

const REACHED_WITHIN_MS = 2_000
const MOST_HELD_MS = 1_000
/** A source that is well yields once a second. */
const ALIVE_WITHIN_MS = 3_000

/** The fold at one revision. */
export interface Reached<R> {
  readonly seen: R
  /** How many revisions at most, of those that came after the session was held, were not delivered. */
  readonly undelivered: bigint
}

/** Lets an audit look at the fold with everything up to one revision, while updates go on arriving. */
export class AuditCut implements SessionCut {
  readonly #mostHeldMs: number
  #session: CutSession | undefined
  #hold: Hold | undefined
  #timer: NodeJS.Timeout | undefined
  #arrivals = 0
  #onArrivals: { readonly askedMs: number; readonly wanted: number; readonly arrived: () => void } | undefined
  #wanted: { readonly revision: bigint; readonly reached: (through: bigint) => void } | undefined

  /** A hold is over before the session looks stale. */
  constructor(staleAfterMs: number) {
    this.#mostHeldMs = Math.min(MOST_HELD_MS, staleAfterMs / 2)
  }

  get isHeld(): boolean {
    return this.#hold !== undefined
  }

  get revision(): bigint | undefined {
    return this.#wanted?.revision
  }

  begin(session: CutSession): void {
    this.#letGo()
    this.#wanted = undefined
    this.#session = session
  }

  onReached(through: bigint): void {
    const wanted = this.#wanted
    this.#wanted = undefined
    wanted?.reached(through)
  }

  onArrival(receivedAtMs: number | undefined): void {
    this.#arrivals++
    if (this.#onArrivals === undefined) return
    const { askedMs, wanted, arrived } = this.#onArrivals
    if (receivedAtMs === undefined ? this.#arrivals >= wanted : receivedAtMs >= askedMs) arrived()
  }

  /**
   * Whether the session yields something that the source cannot have had at this moment: what came since,
   * where the source says when that was; else what it is waited for, or what comes after the batch it may have kept.
   */
  async isAlive(signal: AbortSignal): Promise<boolean> {
    const session = this.#session
    const stop = new AbortController()
    let alive = false
    const arrived = (): void => {
      alive = this.#session === session
      stop.abort()
    }
    const wanted = this.#arrivals + (session?.isPulling === true ? 1 : 2)
    this.#onArrivals = { askedMs: performance.now(), wanted, arrived }
    await pause(ALIVE_WITHIN_MS, AbortSignal.any([signal, stop.signal]))
    this.#onArrivals = undefined
    return alive
  }

  /**
   * Lets the session begin no further batch, so that all it has is at or below what the bucket says next.
   * The returned hold has to be released; it is over by itself after a second.
   */
  hold(): Hold {
    this.#letGo()
    const session = this.#session
    const hold: Hold = {
      from: session?.frontier ?? 0n,
      delivered: session?.delivered ?? 0n,
      release: () => {
        if (this.#hold === hold) this.#letGo()
      },
    }
    this.#hold = hold
    this.#timer = setTimeout(hold.release, this.#mostHeldMs)
    return hold
  }

  /**
   * What `look` gives when the fold has everything up to `revision` and nothing above. undefined when it
   * does not come there in time, or has gone further. Releases the hold, and not before it is sure to be
   * there.
   */
  async at<R>(
    hold: Hold,
    revision: bigint,
    look: () => R,
    signal: AbortSignal,
  ): Promise<Reached<R> | undefined> {
    const stop = new AbortController()
    const session = this.#session
    let found: Reached<R> | undefined
    const reached = (through: bigint): void => {
      if (through <= revision) {
        const delivered = (session?.delivered ?? 0n) - hold.delivered
        found = { seen: look(), undelivered: revision - hold.from - delivered }
      }
      stop.abort()
    }
    const wanted = { revision, reached }
    this.#wanted = wanted
    hold.release()
    session?.wake()
    try {
      await pause(REACHED_WITHIN_MS, AbortSignal.any([signal, stop.signal]))
      return found
    } finally {
      if (this.#wanted === wanted) this.#wanted = undefined
    }
  }

  #letGo(): void {
    clearTimeout(this.#timer)
    if (this.#hold === undefined) return
    this.#hold = undefined
    this.#session?.wake()
  }
}

/** A session that begins no further batch, and where it stood. */
export interface Hold {
  readonly from: bigint
  readonly delivered: bigint
  readonly release: () => void
}
