export interface FlushInput {
  /** What the attempt came to; `poisoned` is a key or value above the store's limits. */
  readonly outcome: 'committed' | 'applyFailed' | 'commitFailed' | 'poisoned'
  /** Since the first failure of this batch. */
  readonly failingForMs: number
  readonly budgetMs: number
  /** Whether the caller wants to end. */
  readonly aborted: boolean
  /** Whether the store can be opened again. */
  readonly reopenable: boolean
}

export interface FlushDecision {
  /** The cursor moves only when the store holds the batch; until then the batch is held too. */
  readonly cursor: 'advance' | 'stay'
  /** `done`: nothing of a handle that rejected a write is trusted again, so a retry opens the fold anew. */
  readonly handle: 'good' | 'done'
  /** `abandon` ends quietly, because the caller asked for it and nothing is in doubt. */
  readonly next: 'continue' | 'retry' | 'abandon' | 'fail'
}

/** What an attempt to apply and commit one batch leaves, and what comes next. */
export function afterFlush(input: FlushInput): FlushDecision {
  const { outcome } = input
  if (outcome === 'committed') return { cursor: 'advance', handle: 'good', next: 'continue' }
  if (outcome === 'poisoned') return { cursor: 'stay', handle: 'good', next: 'fail' }
  const withinBudget = input.failingForMs < input.budgetMs
  if (outcome === 'applyFailed') {
    if (input.aborted) return { cursor: 'stay', handle: 'good', next: 'abandon' }
    return { cursor: 'stay', handle: 'good', next: withinBudget ? 'retry' : 'fail' }
  }
  const again = withinBudget && input.reopenable && !input.aborted
  return { cursor: 'stay', handle: 'done', next: again ? 'retry' : 'fail' }
}
