import type { WatchCursor } from '../cursor.ts'
import { protocol } from '../protocol/protocol.ts'
import type { Recovery } from '../store.ts'
import {
  type FollowEvent,
  OPENING,
  reduceStatus,
  type Standing,
  visibleReason,
  visibleState,
} from './status-reducer.ts'
import type { FollowState, FollowStatus, Unverified } from './status.ts'

/** What the board reads from the fold. */
export interface FoldFigures {
  readonly cursor: WatchCursor
  readonly durableCursor: WatchCursor
  readonly entries: number
}

/** The follower's state and counts in one place; tells listeners of each change of state or reason. */
export class StatusBoard {
  applied = 0
  delivered = 0
  deliveredBytes = 0
  relisted = 0
  skipped = 0
  sessions = 0
  verifiedThrough: bigint | undefined
  recovery: Recovery | undefined
  /** Why no artifact took the fold's place. */
  bootstrapError: Error | undefined
  unverified: readonly Unverified[] = []
  /** Monotonic. */
  lastProofMs: number = performance.now()

  readonly #figures: () => FoldFigures
  readonly #staleAfterMs: number
  readonly #listeners = new Set<(status: FollowStatus) => void>()
  #standing: Standing = OPENING
  #streamLast: bigint | undefined
  #lastContactMs: number | undefined
  #error: Error | undefined

  /** `staleAfterMs`: how old a proof of life may be to be one. */
  constructor(figures: () => FoldFigures, staleAfterMs: number) {
    this.#figures = figures
    this.#staleAfterMs = staleAfterMs
  }

  get state(): FollowState {
    return visibleState(this.#standing)
  }

  dispatch(event: FollowEvent, error?: unknown): void {
    const before = this.#standing
    const after = reduceStatus(before, event)
    this.#standing = after
    if (error instanceof Error) this.#error = error
    else if (event.type === 'caughtUp' || (event.type === 'released' && before.held !== undefined))
      this.#error = undefined
    if (visibleState(before) === visibleState(after) && visibleReason(before) === visibleReason(after)) return
    const status = this.snapshot()
    for (const listener of this.#listeners) {
      try {
        listener(status)
      } catch (thrown) {
        // A listener of the caller must not stop the fold; the caller hears of it as of any stray throw.
        queueMicrotask(() => {
          throw thrown
        })
      }
    }
  }

  /** The source answered or delivered: at `receivedAtMs` on the monotonic clock, or now. */
  proof(receivedAtMs?: number): void {
    const nowMs = performance.now()
    const { lastProofMs: before } = this
    this.lastProofMs = protocol.proofOfLife({ nowMs, lastProofMs: before, receivedAtMs })
    const { lastProofMs } = this
    if (lastProofMs > before || this.#lastContactMs === undefined)
      this.#lastContactMs = Date.now() - Math.round(nowMs - lastProofMs)
    if (protocol.watchdog({ nowMs, lastProofMs, staleAfterMs: this.#staleAfterMs }) === 'live')
      this.dispatch({ type: 'proof' })
  }

  /** Whether a check is made, and says something. */
  setCheck(check: Unverified, state: 'on' | 'off'): void {
    const others = this.unverified.filter((each) => each !== check)
    if (state === 'on') this.unverified = others
    else if (others.length === this.unverified.length) this.unverified = [...others, check]
  }

  /** The bucket reached this revision. */
  heard(revision: bigint | undefined): void {
    if (revision !== undefined && (this.#streamLast === undefined || revision > this.#streamLast))
      this.#streamLast = revision
  }

  /** Another history: its revisions start again. */
  forgetHistory(): void {
    this.#streamLast = undefined
    this.verifiedThrough = undefined
  }

  listen(listener: (status: FollowStatus) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  snapshot(): FollowStatus {
    const { cursor, durableCursor, entries } = this.#figures()
    const state = this.state
    const reason = visibleReason(this.#standing)
    const lag = state === 'live' ? 0n : this.#lag(cursor)
    return {
      state,
      ...(reason === undefined ? {} : { reason }),
      ...(this.#error === undefined ? {} : { error: this.#error }),
      ...(this.bootstrapError === undefined ? {} : { bootstrapError: this.bootstrapError }),
      appliedCursor: cursor,
      durableCursor,
      ...(this.#streamLast === undefined ? {} : { streamLast: this.#streamLast }),
      ...(lag === undefined ? {} : { lag }),
      ...(this.verifiedThrough === undefined ? {} : { verifiedThrough: this.verifiedThrough }),
      entries,
      applied: this.applied,
      delivered: this.delivered,
      deliveredBytes: this.deliveredBytes,
      relisted: this.relisted,
      skipped: this.skipped,
      sessions: this.sessions,
      unverified: this.unverified,
      ...(this.#lastContactMs === undefined ? {} : { lastContactMs: this.#lastContactMs }),
      ...(this.recovery === undefined ? {} : { recovery: this.recovery }),
    }
  }

  #lag(cursor: WatchCursor): bigint | undefined {
    const revision = cursor.isNone ? 0n : cursor.revision
    if (this.#streamLast === undefined || revision === undefined) return undefined
    return this.#streamLast > revision ? this.#streamLast - revision : 0n
  }
}
