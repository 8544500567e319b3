import type { LeaseSighting } from '@slip/kv-core'
import type { LeaseRecord } from './lease-record.ts'

interface Sighted {
  readonly record: LeaseRecord
  readonly firstMs: number
  /** When something else was seen in its place; -Infinity when nothing was. */
  readonly otherMs: number
}

/**
 * What a process remembers of one lease from look to look, by a clock of its own: where the holder's clock or its
 * own is wrong, it still tells a lease that it saw begin from one that must have ended.
 */
export class LeaseSightings {
  readonly #nowMs: () => number
  #sighted: Sighted | undefined
  #lookedMs = -Infinity

  /** `nowMs`: milliseconds that only go forward. @default `performance.now` */
  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs
  }

  get nowMs(): number {
    return this.#nowMs()
  }

  /** A look that was begun at `askedMs` found this record, or none; undefined without one. */
  saw(record: LeaseRecord | undefined, askedMs: number): LeaseSighting | undefined {
    const before = this.#sighted
    const nowMs = this.#nowMs()
    if (record === undefined) this.#sighted = undefined
    else if (before === undefined || !isSame(before.record, record))
      this.#sighted = { record, firstMs: nowMs, otherMs: this.#lookedMs }
    this.#lookedMs = askedMs
    return this.#sighted && sightingOf(this.#sighted, nowMs)
  }

  /** This process has written the record since `askedMs`. */
  wrote(record: LeaseRecord, askedMs: number): void {
    this.#sighted = { record, firstMs: this.#nowMs(), otherMs: askedMs }
    this.#lookedMs = askedMs
  }

  /** This process has given its lease back. */
  gaveBack(): void {
    this.#sighted = undefined
  }

  /** The lease that was seen last, the same object for as long as it is the same lease. */
  get lease(): Pick<LeaseRecord, 'holderId' | 'acquiredAtUnix' | 'expiresAtUnix'> | undefined {
    return this.#sighted?.record
  }

  /** In how many milliseconds the lease that was seen last may be taken; 0 without one. */
  freeInMs(unixMs: number): number {
    if (this.#sighted === undefined) return 0
    const { lastsMs, atLeastMs, atMostMs } = sightingOf(this.#sighted, this.#nowMs())
    const byClocks = Number(this.#sighted.record.expiresAtUnix) * 1000 - unixMs
    if (!(lastsMs > 0)) return Math.max(0, byClocks)
    const bySight = lastsMs - atLeastMs
    return Math.max(0, atMostMs - atLeastMs < lastsMs ? bySight : Math.min(bySight, byClocks))
  }
}

function sightingOf({ record, firstMs, otherMs }: Sighted, nowMs: number): LeaseSighting {
  return {
    lastsMs: Number(record.expiresAtUnix - record.acquiredAtUnix) * 1000,
    atLeastMs: nowMs - firstMs,
    atMostMs: nowMs - otherMs,
  }
}

/** What a round published does not make it another lease. */
function isSame(a: LeaseRecord, b: LeaseRecord): boolean {
  return (
    a.holderId === b.holderId && a.acquiredAtUnix === b.acquiredAtUnix && a.expiresAtUnix === b.expiresAtUnix
  )
}
