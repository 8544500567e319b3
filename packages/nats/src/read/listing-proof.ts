import type { WatchBatch } from '@slip/kv-core'

const MAX_ROUNDS = 8
/** A heartbeat that moves the frontier comes every 500 ms. */
const MAX_WAIT_MS = 2_000

/**
 * Decides when a listing is complete, and at which revision it is exact.
 *
 * That nothing is pending does not suffice. The server counts what is pending a moment after it stored
 * a write, and the write has removed the key's older message at once: a key can be behind what was
 * delivered in neither form. So once caught up at S the stream is asked for its last revision L, and
 * read on to a position F at or past L. What was removed before it was delivered up to S was removed by
 * a write up to L, so it has come by F; and when every revision from S to F was delivered, nothing is
 * missing at F. When one was not, the next round begins at F. Behind a filter a revision that was not
 * delivered may just be another key's, so there a round proves nothing unless it is empty.
 */
export class ListingProof {
  readonly #lastBefore: bigint
  readonly #unfiltered: boolean
  #caughtUp = false
  #position = 0n
  #roundFrom = 0n
  #delivered = 0n
  #target: bigint | undefined
  #rounds = 0
  #givenUpAt = Infinity
  #state: 'open' | 'exact' | 'unproven' = 'open'

  constructor(lastBefore: bigint, unfiltered: boolean) {
    this.#lastBefore = lastBefore
    this.#unfiltered = unfiltered
  }

  /** More has to be read. */
  get open(): boolean {
    return this.#state === 'open'
  }

  /** The stream has to be asked for its last revision. */
  get due(): boolean {
    return this.open && this.#caughtUp && this.#target === undefined
  }

  /** Where the listing is exact; undefined when that is not proven. */
  get exactAt(): bigint | undefined {
    return this.#state === 'exact' ? this.#position : undefined
  }

  received(batch: WatchBatch): void {
    this.#caughtUp ||= batch.caughtUp
    this.#delivered += BigInt(batch.updates.length)
    this.#position = batch.bookmark?.revision ?? this.#position
    if (this.#target === undefined) return
    if (this.#position < this.#target) {
      if (performance.now() > this.#givenUpAt) this.#state = 'unproven'
    } else if (this.#unfiltered && this.#delivered === this.#position - this.#roundFrom) this.#state = 'exact'
    else if (!this.#unfiltered || this.#rounds === MAX_ROUNDS) this.#state = 'unproven'
    else this.#target = undefined
  }

  /** The answer; it was asked for after the last `received`. */
  lastRevision(last: bigint): void {
    if (last <= this.#position || last === this.#lastBefore) {
      this.#position = last > this.#position ? last : this.#position
      this.#state = 'exact'
      return
    }
    this.#target = last
    this.#roundFrom = this.#position
    this.#delivered = 0n
    this.#rounds++
    if (this.#givenUpAt === Infinity) this.#givenUpAt = performance.now() + MAX_WAIT_MS
  }
}
