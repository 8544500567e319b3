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
  /** The cursor moves only when the store holds the batch. */
  readonly cursor: 'advance' | 'stay'
  readonly queue: 'drop' | 'hold'
  /** Nothing of a handle that rejected a write is trusted again. */
  readonly handle: 'good' | 'done'
  readonly next: 'continue' | 'retry' | 'reopen' | 'abandon' | 'fail'
}

/** What an attempt to apply and commit one batch leaves, and what comes next. */
export function afterFlush(input: FlushInput): FlushDecision {
  const { outcome } = input
  if (outcome === 'committed') return { cursor: 'advance', queue: 'drop', handle: 'good', next: 'continue' }
  const held = { cursor: 'stay', queue: 'hold' } as const
  if (outcome === 'poisoned') return { ...held, handle: 'good', next: 'fail' }
  const withinBudget = input.failingForMs < input.budgetMs
  if (outcome === 'applyFailed') {
    if (input.aborted) return { ...held, handle: 'good', next: 'abandon' }
    return { ...held, handle: 'good', next: withinBudget ? 'retry' : 'fail' }
  }
  const again = withinBudget && input.reopenable && !input.aborted
  return { ...held, handle: 'done', next: again ? 'reopen' : 'fail' }
}
