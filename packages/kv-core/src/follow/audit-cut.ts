import { pause } from '../apply/back-off.ts'
import type { SessionCut } from '../apply/session-loop.ts'

const REACHED_WITHIN_MS = 2_000

/** Lets an audit look at the fold with everything up to one revision, while updates go on arriving. */
export class AuditCut implements SessionCut {
  #wanted: { readonly revision: bigint; readonly look: () => void } | undefined

  get revision(): bigint | undefined {
    return this.#wanted?.revision
  }

  onReached(): void {
    const wanted = this.#wanted
    this.#wanted = undefined
    wanted?.look()
  }

  /** What `look` gives when the fold is there; undefined when it does not come there in time. */
  async at<R>(revision: bigint, look: () => R, signal: AbortSignal): Promise<R | undefined> {
    const stop = new AbortController()
    let seen: R | undefined
    this.#wanted = {
      revision,
      look: () => {
        seen = look()
        stop.abort()
      },
    }
    try {
      await pause(REACHED_WITHIN_MS, AbortSignal.any([signal, stop.signal]))
      return seen
    } finally {
      this.#wanted = undefined
    }
  }
}
