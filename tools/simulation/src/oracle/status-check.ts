import { KvError, SnapshotError, type FollowState, type FollowStatus } from '@slip/kv-core'
import type { Verdict } from './verdict.ts'

/** States that say the source is there. */
const CLAIMS_CONTACT: ReadonlySet<FollowState> = new Set(['live', 'catchingUp', 'resyncing'])
/** What an event loop may be late, besides the stalls of its world. */
const LATE_MS = 250

/** Promises 2 and 7, by what the status says at one moment of the process's own clock. */
export class StatusCheck {
  readonly #verdict: Verdict
  readonly #mostSilentMs: number
  /** On the process's monotonic clock. */
  #contactMs: number
  #delivered: number
  /** Since when the process runs without a pause, on the same clock. */
  #awakeSinceMs: number

  /** `mostStallMs`: how late the process may be. `cursor`: where the fold stood when it began. */
  constructor(
    verdict: Verdict,
    limits: { readonly staleAfterMs: number; readonly mostStallMs: number },
    nowMs: number,
    cursor: number,
  ) {
    this.#verdict = verdict
    this.#mostSilentMs = limits.staleAfterMs + limits.mostStallMs + LATE_MS
    this.#contactMs = nowMs
    this.#awakeSinceMs = nowMs
    this.#delivered = cursor
  }

  contact(nowMs: number): void {
    this.#contactMs = nowMs
  }

  delivered(revision: number): void {
    this.#delivered = Math.max(this.#delivered, revision)
  }

  awake(nowMs: number): void {
    this.#awakeSinceMs = nowMs
  }

  look(status: FollowStatus, nowMs: number): void {
    const silentMs = nowMs - Math.max(this.#contactMs, this.#awakeSinceMs)
    if (CLAIMS_CONTACT.has(status.state) && silentMs > this.#mostSilentMs)
      this.#verdict.violated(7, `${status.state} although nothing came for ${Math.round(silentMs)} ms`)
    const applied = Number(status.appliedCursor.revision ?? 0n)
    const durable = Number(status.durableCursor.revision ?? 0n)
    if (durable > applied) this.#verdict.violated(2, `durable at ${durable}, applied at ${applied}`)
    if (applied > this.#delivered)
      this.#verdict.violated(2, `applied at ${applied}, delivered was ${this.#delivered}`)
  }
}

const ENDS: ReadonlySet<string> = new Set([
  'ApplyFailed',
  'RepairRefused',
  'Io',
  'Busy',
  'Closed',
  'LimitExceeded',
])

/** Promise 8: why an end of a follower is none it may have; undefined when it may. */
export function untypedEnd(error: unknown): string | undefined {
  if (!KvError.is(error) && !SnapshotError.is(error)) return `it ended with ${String(error)}`
  return ENDS.has(error.code) ? undefined : `it ended with ${error.code}: ${error.message}`
}
