import type { WatchCursor } from '../cursor.ts'
import type { KvUpdate } from '../entry.ts'
import { MAX_ANCHORS } from '../lineage.ts'
import type { ApplyOptions } from '../store.ts'
import type { BoundLineage } from './bound-lineage.ts'
import type { OversizePolicy } from './oversize.ts'

/** The anchors of a small commit: enough to tell histories apart, in no more bytes than one more update. */
const FEW_ANCHORS = 4
/** All of them go with a commit this often, with each large one, and with the last. */
const ALL_EVERY_MS = 1_000

/**
 * Says which lineage goes with a commit. Fewer anchors than the fold remembers are as safe as all: what
 * is stored always names every key that was applied since the oldest of them.
 */
export class LineageWriter {
  readonly #oversize: OversizePolicy
  #bound: BoundLineage | undefined
  #stores = false
  /** What a fold was given last. */
  #given: { readonly fold: object; readonly bytes: Uint8Array; readonly all: boolean } | undefined
  #allAtMs = -Infinity

  constructor(oversize: OversizePolicy) {
    this.#oversize = oversize
  }

  /** From here on commits belong to `bound`; `stores` says whether the store keeps a lineage. */
  bind(bound: BoundLineage, stores: boolean): void {
    this.#bound = bound
    this.#stores = stores
    this.#given = undefined
  }

  /**
   * The options of a commit of `updates` to `fold`, which keeps what `stored` gives: to be asked when the batch
   * was admitted. undefined when what it keeps will do. `settled` says what the updates tell of the fold; it
   * stays as it is where that is absent.
   */
  optionsFor(
    fold: object,
    stored: () => Uint8Array | undefined,
    updates: readonly KvUpdate[],
    settled?: boolean,
  ): ApplyOptions | undefined {
    const bound = this.#bound
    if (bound === undefined) return undefined
    if (settled !== undefined) bound.settle(settled)
    bound.ring.note(updates)
    if (!this.#stores) return undefined
    const nowMs = performance.now()
    const all = updates.length === 0 || updates.length >= MAX_ANCHORS || nowMs - this.#allAtMs >= ALL_EVERY_MS
    if (all) this.#allAtMs = nowMs
    const lineage = bound.encode(this.#oversize, all ? MAX_ANCHORS : Math.max(FEW_ANCHORS, updates.length))
    const kept = this.#given?.fold === fold ? this.#given.bytes : stored()
    this.#given = { fold, bytes: lineage, all }
    return kept !== undefined && Buffer.compare(kept, lineage) === 0 ? undefined : { lineage }
  }

  /** What is stored as the cursor. */
  cursorOf(cursor: WatchCursor, newest?: KvUpdate): WatchCursor {
    return this.#bound?.cursorOf(cursor, newest) ?? cursor
  }

  /** Whether a commit went without some of the anchors, and none with all of them came after it. */
  get abridged(): boolean {
    return this.#given?.all === false
  }

  /** Whether a fold that keeps `stored` and `cursor` lacks something of what there is to remember. */
  isDue(stored: Uint8Array | undefined, cursor: WatchCursor): boolean {
    if (this.#bound === undefined) return false
    if (!this.#bound.cursorOf(cursor).equals(cursor)) return true
    if (!this.#stores) return false
    return (
      stored === undefined || Buffer.compare(stored, this.#bound.encode(this.#oversize, MAX_ANCHORS)) !== 0
    )
  }
}
