import { pause } from '../apply/back-off.ts'
import type { HistoryVerdict } from '../protocol/judge-history.ts'
import { askHistory, type FoldHistory, type HistoryQuestion } from './history-proof.ts'

const ASK_AGAIN_MS = 250

/**
 * Remembers what was proven of a fold's history in this process. A bucket that is put back under a session
 * that goes on mixes two histories in the fold, and in its newest anchors: so those that came since the
 * last proof are compared one by one, and what was proven is asked for again.
 */
export class HistoryGuard {
  #proven: FoldHistory | undefined
  /** Whether the fold was begun in this process, so that there is nothing older to be proven. */
  #begun = false
  /** Whether the last session found that the bucket contradicts the fold. */
  #suspect = false

  /** Whether this process has asked before, and was answered. */
  get hasProof(): boolean {
    return this.#proven !== undefined
  }

  /** Another history begins, from nothing. */
  begin(): void {
    this.forget()
    this.#begun = true
  }

  /** A fold that came from elsewhere takes the place of the one before: nothing of it was proven. */
  forget(): void {
    this.#proven = undefined
    this.#begun = false
    this.#suspect = false
  }

  /**
   * Before a session, of a fold that does not move. A verdict against the fold is believed when it comes
   * twice: the first may be that of a server that is not up to date. undefined when the bucket cannot be
   * asked; rejects when it does not answer.
   */
  async atAttach(fold: FoldHistory, question: HistoryQuestion): Promise<HistoryVerdict | undefined> {
    const trusted = this.#suspect ? this.#trusted : this.#proven?.cursor
    const verdict = await this.#ask(fold, trusted, question)
    if (!contradicts(verdict)) return verdict
    await pause(ASK_AGAIN_MS, question.signal)
    return this.#ask(fold, trusted, question)
  }

  /**
   * Once the watch has begun, of a fold that has not moved since `verdict`: whether it would be no worse now. A server
   * that was put back in between would be followed as if it had not been. `reaches`: whether the bucket says that the
   * fold may go on, which is asked where its messages do not show it. Rejects when the bucket does not answer.
   */
  async isStill(
    verdict: HistoryVerdict | undefined,
    fold: FoldHistory,
    question: HistoryQuestion,
    reaches: () => Promise<boolean>,
  ): Promise<boolean> {
    const isNoWorse = (now: HistoryVerdict | undefined): boolean =>
      now === 'same' || (now === 'unknown' && verdict === 'unknown')
    const answer = await askHistory(fold, undefined, question)
    if (answer === undefined) return true
    if (!isNoWorse(answer.verdict) || answer.reachesCursor) return isNoWorse(answer.verdict)
    // It may end below the cursor, and be written up to it by the time it is described: so the history comes last.
    return (await reaches()) && isNoWorse((await askHistory(fold, undefined, question))?.verdict)
  }

  /** During a session, of the fold as it is at this moment. */
  async inSession(fold: FoldHistory, question: HistoryQuestion): Promise<HistoryVerdict | undefined> {
    const now = { ring: fold.ring.copy(), cursor: fold.cursor }
    const verdict = await this.#ask(now, this.#trusted, question)
    if (verdict === 'unknown' && this.#begun) this.#proven = now
    this.#suspect = contradicts(verdict)
    return verdict
  }

  /** A listing has shown that the fold is right as it is. */
  accept(fold: FoldHistory): void {
    this.#proven = { ring: fold.ring.copy(), cursor: fold.cursor }
  }

  /** What came above it came in sessions of this process, and may be of several histories. */
  get #trusted(): bigint | undefined {
    return this.#proven?.cursor ?? (this.#begun ? 0n : undefined)
  }

  async #ask(
    fold: FoldHistory,
    trusted: bigint | undefined,
    question: HistoryQuestion,
  ): Promise<HistoryVerdict | undefined> {
    const now = { ring: fold.ring.copy(), cursor: fold.cursor }
    const verdicts = [(await askHistory(now, trusted, question))?.verdict]
    if (this.#proven !== undefined)
      verdicts.push((await askHistory(this.#proven, undefined, question))?.verdict)
    const verdict = ORDER.find((each) => verdicts.includes(each))
    if (verdict === 'same') this.#proven = now
    return verdict
  }
}

function contradicts(verdict: HistoryVerdict | undefined): boolean {
  return verdict === 'other' || verdict === 'differs'
}

/** What contradicts the fold counts, then what proves it. */
const ORDER: readonly HistoryVerdict[] = ['other', 'differs', 'same', 'unknown']
