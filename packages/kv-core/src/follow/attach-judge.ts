import type { FollowSource } from '../follow-source.ts'
import type { AttachDecision, RebuildReason } from '../protocol/attach.ts'
import type { HistoryVerdict } from '../protocol/judge-history.ts'
import type { SourceDescription } from '../source.ts'
import type { AnchorRing } from './anchor-ring.ts'
import { attachDecision, Unanswered, type FoldStanding } from './attach-decision.ts'
import type { FollowSettings } from './follow-settings.ts'
import type { HistoryGuard } from './history-guard.ts'

export type ProveAgain = (signal: AbortSignal, describe: () => Promise<SourceDescription>) => Promise<boolean>

interface Decided {
  readonly decision: AttachDecision
  readonly proven: boolean
  readonly proveAgain?: ProveAgain
}

/** Asks the attach kernel about a fold, and the bucket about what the fold remembers of its history. */
export class AttachJudge {
  readonly #settings: FollowSettings
  readonly #guard: HistoryGuard
  readonly #signal: AbortSignal

  constructor(settings: FollowSettings, guard: HistoryGuard, signal: AbortSignal) {
    this.#settings = settings
    this.#guard = guard
    this.#signal = signal
  }

  /** A fold that could go on goes on only when the bucket does not contradict what the fold remembers. */
  async decide(
    source: FollowSource,
    described: SourceDescription,
    fold: FoldStanding,
    finding: RebuildReason | undefined,
    ring: AnchorRing,
  ): Promise<Decided> {
    const decision = attachDecision(this.#settings, described, fold, { finding })
    const cursor = fold.cursor.revision
    const asked = source.watcher.history
    if (decision.action !== 'resume' || asked === undefined || cursor === undefined)
      return { decision, proven: false }
    const { scope } = this.#settings
    const { historyPerKey } = described
    const question = { history: asked, scope, historyPerKey, signal: this.#signal }
    let history: HistoryVerdict | undefined
    try {
      history = await this.#guard.atAttach({ ring, cursor }, question)
    } catch (cause) {
      throw new Unanswered(cause)
    }
    const proveAgain: ProveAgain = (signal, describe) =>
      this.#guard.isStill(history, { ring, cursor }, { ...question, signal }, async () => {
        const { action } = attachDecision(this.#settings, await describe(), fold)
        return action === 'resume'
      })
    return {
      decision: attachDecision(this.#settings, described, fold, { history }),
      proven: history === 'same' && fold.settled === true,
      ...(history === undefined ? {} : { proveAgain }),
    }
  }
}
