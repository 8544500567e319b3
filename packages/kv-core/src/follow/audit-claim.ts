import type { HistoryVerdict } from '../protocol/judge-history.ts'
import type { SnapshotStore } from '../store.ts'
import type { Attached } from './attachment.ts'
import type { AuditCut } from './audit-cut.ts'
import type { AuditedSession, AuditFinding } from './audit-schedule.ts'
import { keepsHistory } from './count-audit.ts'
import type { FoldParts } from './fold-parts.ts'
import type { FollowSettings } from './follow-settings.ts'
import type { HistoryGuard } from './history-guard.ts'
import type { FoldHistory } from './history-proof.ts'

/** Makes sure that what an audit found was found in the history of the fold, and claims it. */
export class AuditClaim<S extends SnapshotStore, T> {
  readonly #parts: FoldParts<S, T>
  readonly #settings: FollowSettings
  readonly #guard: HistoryGuard
  readonly #cut: AuditCut

  constructor(parts: FoldParts<S, T>, settings: FollowSettings, guard: HistoryGuard, cut: AuditCut) {
    this.#parts = parts
    this.#settings = settings
    this.#guard = guard
    this.#cut = cut
  }

  /**
   * The history is asked after the finding, or else the session has to yield something: a server may be put
   * back under a session that has yet to notice, or goes on. Asked also when there is nothing to claim
   * (`through` undefined). Gives whether it was claimed.
   */
  async make(
    session: AuditedSession,
    through: bigint | undefined,
    signal: AbortSignal,
  ): Promise<AuditFinding | boolean> {
    const history = await this.#askHistory(session, signal)
    if (history === 'other') return { verdict: 'reattach', reason: 'bucketRolledBack' }
    if (history === 'differs') return { verdict: 'reattach', reason: 'revisionMismatch' }
    if (through === undefined || signal.aborted) return false
    const proven = history === 'same' && session.attached.bound.settled
    if (!proven && !(await this.#cut.isAlive(signal))) return false
    // Equal counts prove keys; where a bucket keeps several revisions of a key only a listing proves the rest.
    if (!keepsHistory(session.described)) this.#parts.board.verifiedThrough = through
    return true
  }

  /** Whether the bucket was asked for its history before, and answered. */
  get hasProof(): boolean {
    return this.#guard.hasProof
  }

  /** A listing has shown that the fold is right as it is. */
  accept(attached: Attached): void {
    this.#guard.accept(this.#history(attached))
  }

  async #askHistory(
    { source, attached, described: { historyPerKey } }: AuditedSession,
    signal: AbortSignal,
  ): Promise<HistoryVerdict | undefined> {
    const { history } = source.watcher
    if (history === undefined) return undefined
    const question = { history, scope: this.#settings.scope, historyPerKey, signal }
    try {
      const verdict = await this.#guard.inSession(this.#history(attached), question)
      const { board } = this.#parts
      if (verdict === undefined) board.setCheck('anchors', 'off')
      else if (verdict === 'same' && attached.provenHistory) board.setCheck('anchors', 'on')
      return verdict
    } catch {
      // A source that does not answer ends its session by itself.
      return undefined
    }
  }

  #history({ bound: { ring } }: Attached): FoldHistory {
    // A batch that is being committed is remembered before the cursor moves.
    const newest = ring.anchors.at(-1)?.revision ?? 0n
    const { revision = 0n } = this.#parts.keeper.figures.cursor
    return { ring, cursor: newest > revision ? newest : revision }
  }
}
