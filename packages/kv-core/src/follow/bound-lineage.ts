import { WatchCursor } from '../cursor.ts'
import type { KvUpdate } from '../entry.ts'
import { type Binding, encodeLineageHead, joinLineage, type Lineage, MAX_ANCHORS } from '../lineage.ts'
import { AnchorRing } from './anchor-ring.ts'
import type { OversizePolicy } from './oversize.ts'

/** What a fold belongs to, and what it remembers of its history while it is written. */
export class BoundLineage {
  readonly ring: AnchorRing
  #binding: Binding
  #head: { readonly bytes: Uint8Array; readonly version: number } | undefined

  constructor(binding: Binding, ring: AnchorRing) {
    this.#binding = binding
    this.ring = ring
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
    return new BoundLineage(binding, new AnchorRing([], true))
  }

  /** Of a fold that kept `stored`, bound to `binding` from here on. */
  static of(stored: Lineage | undefined, binding: Binding): BoundLineage {
    return new BoundLineage(binding, new AnchorRing(stored?.anchors ?? [], stored?.anchorsComplete === true))
  }

  /** What a store keeps, with no more than the newest `count` anchors. */
  encode({ names, version }: OversizePolicy, count: number): Uint8Array {
    if (this.#head?.version !== version) {
      const skipped = names === undefined ? {} : { skipped: names }
      this.#head = { version, bytes: encodeLineageHead({ binding: this.#binding, ...skipped }) }
    }
    const complete = this.ring.complete && this.ring.size <= count
    return joinLineage(this.#head.bytes, this.ring.encoded(Math.min(count, MAX_ANCHORS)), complete)
  }
}

/** A stored time is above 0. */
function wholeMs(ms: number | bigint): bigint | undefined {
  const whole = typeof ms === 'bigint' ? ms : BigInt(Math.trunc(ms))
  return whole > 0n ? whole : undefined
}
