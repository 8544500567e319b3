import { Bell } from '../apply/bell.ts'
import { pause } from '../apply/back-off.ts'
import { protocol } from '../protocol/protocol.ts'
import type { SourceDescription } from '../source.ts'

/** So long after a gap the bucket is asked, for all gaps that came meanwhile. */
const ASK_AFTER_MS = 100
const ASK_AGAIN_MS = 1_000

interface Gap {
  readonly after: bigint
  readonly appliedAtMs: bigint | undefined
}

/**
 * Watches, for a replica of record, whether its bucket evicts updates before they are delivered. Evicted
 * updates leave a gap in what is delivered. So do replaced ones; but as long as the bucket still begins
 * at or before a gap, nothing of it was evicted.
 */
export class RetentionWatch {
  readonly #bell = new Bell()
  #gap: Gap | undefined

  /** Nothing was delivered of what follows `after`; `appliedAtMs` is the time of a message at or below it. */
  noteGap(after: bigint, appliedAtMs: bigint | undefined): void {
    if (this.#gap !== undefined) return
    this.#gap = { after, appliedAtMs }
    this.#bell.ring()
  }

  /** Resolves with true when something may have been lost, with false when `signal` aborts. */
  async untilOverrun(describe: () => Promise<SourceDescription>, signal: AbortSignal): Promise<boolean> {
    this.#gap = undefined
    signal.addEventListener('abort', this.#bell.ring)
    try {
      while (!signal.aborted) {
        await this.#bell.wait()
        await pause(ASK_AFTER_MS, signal)
        const gap = this.#gap
        // What comes from here on is not covered by the answer.
        this.#gap = undefined
        while (gap !== undefined && !signal.aborted) {
          const source = await describe().catch(() => undefined)
          if (source !== undefined && isOverrun(gap, source)) return true
          if (source !== undefined) break
          await pause(ASK_AGAIN_MS, signal)
        }
      }
      return false
    } finally {
      signal.removeEventListener('abort', this.#bell.ring)
    }
  }
}

function isOverrun({ after, appliedAtMs }: Gap, source: SourceDescription): boolean {
  const { firstRevision, evictsCurrentValues, evictsAfterMs, serverTimeMs } = source
  return protocol.overrun({
    revision: after,
    appliedAtMs,
    firstRevision,
    evictsCurrentValues,
    evictsAfterMs,
    serverTimeMs,
  })
}
