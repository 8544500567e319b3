import { WatchCursor } from '../cursor.ts'
import type { KvUpdate } from '../entry.ts'
import { type Binding, encodeLineageHead, joinLineage, MAX_ANCHORS } from '../lineage.ts'
import { AnchorRing } from './anchor-ring.ts'
import type { OversizePolicy } from './oversize.ts'

/** What a fold belongs to, and what it remembers of its history while it is written. */
export class BoundLineage {
  readonly ring: AnchorRing
  #binding: Binding
  /** Whether the updates say so. */
  #settled = true
  #trusted: boolean
  #head: { readonly bytes: Uint8Array; readonly version: number } | undefined

  /** `trusted`: nothing of the fold is in doubt. Else it is not settled again before `trust`. */
  constructor(binding: Binding, ring: AnchorRing, trusted: boolean) {
    this.#binding = binding
    this.ring = ring
    this.#trusted = trusted
  }

  get binding(): Binding {
    return this.#binding
  }

  /** The bucket was seen to evict: remembered for good. */
  markEviction(): void {
    this.#binding = { ...this.#binding, evictionSeen: true }
    this.#head = undefined
  }

  /**
   * The cursor that goes with it: with the memo once eviction was seen, and in it the time of what was applied
   * last, which is at or before that of the cursor's message.
   */
  cursorOf(cursor: WatchCursor, newest?: KvUpdate): WatchCursor {
    if (!this.#binding.evictionSeen) return cursor
    if (cursor.isNone) return WatchCursor.fromToken(cursor.token, { evictionSeen: true })
    const appliedAtMs = newest?.writtenAtMs ?? this.ring.newest?.timeMs
    const serverTimeMs = appliedAtMs === undefined ? cursor.memo?.serverTimeMs : wholeMs(appliedAtMs)
    return WatchCursor.fromToken(cursor.token, {
      evictionSeen: true,
      ...(serverTimeMs === undefined ? {} : { serverTimeMs }),
    })
  }

  /** Of a fold that has applied nothing yet. */
  static fresh(binding: Binding): BoundLineage {
    return new BoundLineage(binding, new AnchorRing([], true), true)
  }

  /** Whether what was committed last is a state that the bucket was in. */
  get settled(): boolean {
    return this.#settled && this.#trusted
  }

  /** What is committed next is a state that the bucket was in, as far as its updates tell. */
  settle(settled: boolean): void {
    this.#settled = settled
  }

  /** The history of the fold is not proven. */
  doubt(): void {
    this.#trusted = false
  }

  /** A listing has shown that the fold is right. */
  trust(): void {
    this.#trusted = true
  }

  /** What a store keeps, with no more than the newest `count` anchors. */
  encode({ names, version }: OversizePolicy, count: number): Uint8Array {
    if (this.#head?.version !== version) {
      const skipped = names === undefined ? {} : { skipped: names }
      this.#head = { version, bytes: encodeLineageHead({ binding: this.#binding, ...skipped }) }
    }
    const complete = this.ring.complete && this.ring.size <= count
    return joinLineage(this.#head.bytes, this.ring.encoded(Math.min(count, MAX_ANCHORS)), {
      anchorsComplete: complete,
      settled: this.settled,
    })
  }
}

/** A stored time is above 0. */
function wholeMs(ms: number | bigint): bigint | undefined {
  const whole = typeof ms === 'bigint' ? ms : BigInt(Math.trunc(ms))
  return whole > 0n ? whole : undefined
}
