import type { SourceDescription } from '../source.ts'
import { protocol } from '../protocol/protocol.ts'

interface Gap {
  readonly after: bigint
  readonly appliedAtMs: bigint | undefined
}

/**
 * Keeps a replica of record from moving its cursor past updates that its bucket evicted before they were
 * delivered. They leave a gap in what is delivered. So do replaced ones; but when a bucket that is asked after
 * the delivery still begins at or before a gap, nothing of it was evicted. To be asked before the commit: a
 * fold that has gone over a gap cannot be told from one that missed nothing.
 */
export class RetentionGuard {
  #gap: Gap | undefined

  /** Nothing was delivered of what follows `after`; `appliedAtMs` is the time of a message at or below it. */
  noteGap(after: bigint, appliedAtMs: bigint | undefined): void {
    // What the bucket says of the first gap it says of all after it.
    this.#gap ??= { after, appliedAtMs }
  }

  /** Whether something may be lost in what was delivered so far. Rejects with what `describe` rejects with. */
  async isOverrun(describe: () => Promise<SourceDescription>, evictionSeen: boolean): Promise<boolean> {
    const gap = this.#gap
    if (gap === undefined) return false
    this.#gap = undefined
    const { firstRevision, evictsCurrentValues, evictsAfterMs, serverTimeMs } = await describe()
    return protocol.overrun({
      revision: gap.after,
      appliedAtMs: gap.appliedAtMs,
      firstRevision,
      evictsCurrentValues,
      evictsAfterMs,
      serverTimeMs,
      evictionSeen,
    })
  }
}
