import type { KvUpdate } from '../entry.ts'
import { type Anchor, encodeAnchor, MAX_ANCHORS } from '../lineage.ts'

/** Longer keys are not remembered: 64 of them would not fit beside the rest of a lineage. */
const MAX_KEY_LENGTH = 4 * 1024

interface Slot {
  readonly anchor: Anchor
  encoded: Uint8Array | undefined
}

/**
 * The newest applied revision of each of the last 64 keys: what a fold remembers of its history.
 * Every key whose newest revision is at or above the oldest anchor is among them.
 */
export class AnchorRing {
  /** Oldest first. */
  readonly #slots: Slot[]
  #complete: boolean

  /** `anchors` oldest first, as they were stored; `complete` when they name every key that was ever applied. */
  constructor(anchors: readonly Anchor[], complete: boolean) {
    this.#slots = anchors.map((anchor) => ({ anchor, encoded: undefined }))
    this.#complete = complete
  }

  /** Whether they name every key that was ever applied. */
  get complete(): boolean {
    return this.#complete
  }

  get size(): number {
    return this.#slots.length
  }

  get newest(): Anchor | undefined {
    return this.#slots.at(-1)?.anchor
  }

  copy(): AnchorRing {
    return new AnchorRing(this.anchors, this.#complete)
  }

  /** Oldest first. */
  get anchors(): readonly Anchor[] {
    return this.#slots.map(({ anchor }) => anchor)
  }

  /** The newest `count` as a lineage holds them, oldest first. */
  encoded(count: number): readonly Uint8Array[] {
    return this.#slots.slice(-count).map((slot) => (slot.encoded ??= encodeAnchor(slot.anchor)))
  }

  /**
   * Remembers updates that are being applied, in the order of their revisions; again is harmless.
   * Removals nobody wrote are no part of the history. An update without a time cannot be remembered;
   * what came before it is forgotten with it.
   */
  note(updates: readonly KvUpdate[]): void {
    const newest: Anchor[] = []
    const noted = new Set<string>()
    for (let i = updates.length; i-- > 0;) {
      const { key, version, writtenAtMs } = updates[i]!
      if (version.isUnknown || noted.has(key)) continue
      const { revision } = version
      const fits = newest.length < MAX_ANCHORS && key.length <= MAX_KEY_LENGTH
      if (!fits || revision === undefined || writtenAtMs === undefined) {
        this.#slots.length = 0
        this.#complete = false
        break
      }
      noted.add(key)
      newest.push({ key, revision, timeMs: BigInt(Math.trunc(writtenAtMs)) })
    }
    for (let i = newest.length; i-- > 0;) this.#put(newest[i]!)
  }

  #put(anchor: Anchor): void {
    const slots = this.#slots
    const held = slots.findIndex((slot) => slot.anchor.key === anchor.key)
    if (held >= 0) slots.splice(held, 1)
    else if (slots.length === MAX_ANCHORS) {
      slots.shift()
      this.#complete = false
    }
    slots.push({ anchor, encoded: undefined })
  }
}
