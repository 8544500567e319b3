import type { FlushDecision, FlushInput, Protocol } from '@slip/kv-core'
import {
  APPLY_AGAIN,
  COLLECTING,
  COMMIT_AGAIN,
  DONE,
  ENDED,
  FAILED,
  GOOD,
  HANDED,
  RUNNING,
  type FlushOptions,
  type FlushState,
} from './flush-state.ts'
import { Positions } from './positions.ts'

const BUDGET_MS = 1

/** Takes batches through `apply` and the commit, each decision made by the rules it is given. */
export class FlushFollower {
  readonly #options: FlushOptions
  readonly #rules: Protocol
  readonly #positions: Positions

  constructor(options: FlushOptions, rules: Protocol) {
    this.#options = options
    this.#rules = rules
    this.#positions = new Positions(options.updates)
  }

  start(s: FlushState): boolean {
    if (s.up === 1) return false
    s.up = 1
    s.ended = RUNNING
    this.#open(s)
    s.told = s.memory
    return true
  }

  deliver(s: FlushState): boolean {
    const { updates, batch = 2 } = this.#options
    if (!isRunning(s) || s.stage !== COLLECTING || s.aborted === 1) return false
    if (s.delivered === updates || s.delivered - s.memory === batch) return false
    s.delivered++
    return true
  }

  apply(s: FlushState): boolean {
    if (!this.canApply(s)) return false
    this.#hand(s)
    s.stage = HANDED
    return true
  }

  canApply(s: FlushState): boolean {
    if (!isRunning(s)) return false
    return (s.stage === COLLECTING && s.delivered > s.memory) || s.stage === APPLY_AGAIN
  }

  commit(s: FlushState): boolean {
    if (!isRunning(s) || s.stage !== HANDED || this.isPoisoned(s)) return false
    if (s.torn === 1 || (s.lost === 1 && s.file > s.disk)) s.hole = 1
    if (s.handle === DONE) s.wrong = 6
    s.memory = s.delivered
    s.file = s.delivered
    if (this.#options.durability === 'synced') this.#sync(s)
    this.decide(s, 'committed')
    return true
  }

  /** The retry of a commit: over a new handle unless the rules trust the one that failed. */
  again(s: FlushState, damaged: boolean): boolean {
    if (!isRunning(s) || s.stage !== COMMIT_AGAIN || (s.handle === GOOD && damaged)) return false
    if (s.handle === DONE) {
      const before = this.#positions.cursor(s.memory)
      if (damaged) this.#empty(s)
      this.#open(s, s.delivered)
      const found = this.#positions.cursor(s.memory)
      const attempted = this.#positions.cursor(s.delivered)
      if (this.#rules.afterReopen({ found, before, attempted }) === 'restart') {
        s.stage = COLLECTING
        s.delivered = s.memory
        return true
      }
      if (!found.equals(before) && !found.equals(attempted)) s.gap = 1
    }
    s.stage = HANDED
    return true
  }

  /** What follows from an attempt, as far as the rules say. */
  decide(s: FlushState, outcome: FlushInput['outcome']): boolean {
    const { reopenable = true } = this.#options
    if (outcome !== 'committed') s.failing = 1
    const decision = this.#rules.afterFlush({
      outcome,
      failingForMs: s.spent === 1 ? BUDGET_MS : 0,
      budgetMs: BUDGET_MS,
      aborted: s.aborted === 1,
      reopenable,
    })
    const wrong = wrongOf(outcome, decision, s, reopenable)
    if (wrong > 0) s.wrong = wrong
    if (decision.cursor === 'advance') s.told = s.delivered
    s.handle = decision.handle === 'done' ? DONE : GOOD
    if (decision.next === 'continue') {
      s.stage = COLLECTING
      s.failing = 0
      s.spent = 0
    } else if (decision.next === 'retry') s.stage = outcome === 'applyFailed' ? APPLY_AGAIN : COMMIT_AGAIN
    else s.ended = decision.next === 'abandon' ? ENDED : FAILED
    return true
  }

  isPoisoned(s: FlushState): boolean {
    const { poison = 0 } = this.#options
    return poison > s.memory && poison <= s.delivered
  }

  /** The caller wants to end, and everything that was delivered is committed. */
  end(s: FlushState): boolean {
    if (!isRunning(s) || s.aborted === 0 || s.stage !== COLLECTING || s.delivered > s.memory) return false
    this.#sync(s)
    s.ended = ENDED
    return true
  }

  #hand(s: FlushState): void {
    for (let revision = s.memory + 1; revision <= s.delivered; revision++) {
      const handedThrough = this.#positions.frontier(s.handed)
      const verdict = this.#rules.handOver({ handedThrough, revision: this.#positions.revision(revision) })
      if (verdict === 'skip') continue
      if (revision <= s.life) s.twice = 1
      s.life = Math.max(s.life, revision)
      s.given |= 1 << (revision - 1)
    }
    s.handed = Math.max(s.handed, s.delivered)
  }

  /** Recovery cuts a torn frame; after a failure the file is written anew, so that the disk has all of it. */
  #open(s: FlushState, delivered?: number): void {
    const { reopening = 'rewrites' } = this.#options
    s.torn = 0
    if (reopening === 'rewrites' && s.handle === DONE) {
      s.disk = s.file
      s.lost = 0
    }
    s.handle = GOOD
    s.memory = s.file
    s.delivered = delivered ?? s.memory
    s.told = Math.min(s.told, s.memory)
    s.claimed = Math.min(s.claimed, s.memory)
  }

  #empty(s: FlushState): void {
    s.file = 0
    s.disk = 0
    s.torn = 0
    s.lost = 0
    s.hole = 0
    s.claimed = 0
  }

  #sync(s: FlushState): void {
    if (s.lost === 0) s.disk = s.file
    s.claimed = s.memory
  }
}

export const isRunning = (s: FlushState): boolean => s.up === 1 && s.ended === RUNNING

/** An index of `WRONGS`: what the decision itself does wrong, whatever comes of it. */
function wrongOf(
  outcome: FlushInput['outcome'],
  { next, handle }: FlushDecision,
  s: FlushState,
  reopenable: boolean,
): number {
  const mayRetry = outcome === 'applyFailed' || (outcome === 'commitFailed' && reopenable)
  if (outcome === 'commitFailed' && handle === 'good') return 6
  if (next === 'abandon' && outcome !== 'applyFailed') return 3
  if (next === 'fail' && outcome === 'applyFailed' && s.aborted === 1) return 7
  if (next === 'fail' && mayRetry && s.spent === 0 && s.aborted === 0) return 1
  if (next !== 'retry') return 0
  if (outcome === 'poisoned') return 5
  if (!mayRetry) return 8
  if (s.spent === 1) return 2
  return s.aborted === 1 ? 4 : 0
}
