import { type Binding, encodeLineageHead, joinLineage, type Lineage, MAX_ANCHORS } from '../lineage.ts'
import { AnchorRing } from './anchor-ring.ts'
import type { OversizePolicy } from './oversize.ts'

/** What a fold belongs to, and what it remembers of its history while it is written. */
export class BoundLineage {
  readonly binding: Binding
  readonly ring: AnchorRing
  #head: { readonly bytes: Uint8Array; readonly version: number } | undefined

  constructor(binding: Binding, ring: AnchorRing) {
    this.binding = binding
    this.ring = ring
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
      this.#head = { version, bytes: encodeLineageHead({ binding: this.binding, ...skipped }) }
    }
    const complete = this.ring.complete && this.ring.size <= count
    return joinLineage(this.#head.bytes, this.ring.encoded(Math.min(count, MAX_ANCHORS)), complete)
  }
}
