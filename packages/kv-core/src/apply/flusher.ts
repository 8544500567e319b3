import type { WatchCursor } from '../cursor.ts'
import type { KvUpdate } from '../entry.ts'
import { asSnapshotError, KvError, messageOf, SnapshotError } from '../errors.ts'
import { protocol } from '../protocol/protocol.ts'
import { Slices } from '../slices.ts'
import type { ApplyContext, ApplyOptionsOf, ApplyPhase } from '../watch-applied.ts'
import { backOffMs, pause } from './back-off.ts'

/**
 * `committed`: the fold holds the batch. `abandoned`: the caller ended first, nothing moved.
 * `restart`: the fold stands elsewhere, so the session must begin again from its cursor.
 */
export type FlushOutcome = 'committed' | 'abandoned' | 'restart'

export interface Flush {
  readonly updates: readonly KvUpdate[]
  readonly cursor: WatchCursor
  readonly phase: ApplyPhase
  /** Where the fold stands before this flush: what an error says. */
  readonly standing: WatchCursor
  commit(): Promise<void>
  /** Since when earlier flushes fail too: the budget is one for all of them. */
  readonly failingSinceMs?: number | undefined
  /** Replaces a handle that rejected; absent where that is impossible. */
  reopen?(): Promise<'ready' | 'restart'>
}

const RETRY = { firstMs: 50, secondMs: 100, maxMs: 2_000 }
const YIELD_EVERY = 64

/**
 * Takes one batch through `parse`, `apply` and the commit, in that order, retrying on a timer within
 * the budget. An update is handed to `apply` once: a retried commit, or a session that had to begin
 * again further back, does not hand it over a second time.
 */
export class Flusher<T> {
  readonly #options: Pick<ApplyOptionsOf<T>, 'parse' | 'apply'>
  readonly #budgetMs: number
  readonly #signal: AbortSignal
  readonly #slices = new Slices('follow.apply')
  #handedThrough: bigint | undefined

  /** RangeError for a negative budget. */
  constructor(options: Pick<ApplyOptionsOf<T>, 'parse' | 'apply' | 'retryBudgetMs'>, signal: AbortSignal) {
    this.#options = options
    this.#budgetMs = retryBudget(options)
    this.#signal = signal
  }

  /** Another history begins: its revisions were not handed over yet. */
  forget(): void {
    this.#handedThrough = undefined
  }

  /** Rejects with KvError `ApplyFailed` or with the store's SnapshotError, both carrying `standing`. */
  async flush(flush: Flush): Promise<FlushOutcome> {
    let failingSinceMs = flush.failingSinceMs
    let handed = false
    for (let attempt = 0; ; attempt++) {
      let outcome: 'committed' | 'applyFailed' | 'commitFailed' | 'poisoned' = 'applyFailed'
      let error: unknown
      try {
        if (!handed) await this.#hand(flush)
        handed = true
        outcome = 'commitFailed'
        await flush.commit()
        outcome = 'committed'
      } catch (thrown) {
        error = thrown
        if (outcome === 'commitFailed' && SnapshotError.is(thrown) && thrown.code === 'LimitExceeded')
          outcome = 'poisoned'
      }
      for (;;) {
        const nowMs = performance.now()
        if (outcome !== 'committed') failingSinceMs ??= nowMs
        const { next } = protocol.afterFlush({
          outcome,
          failingForMs: nowMs - (failingSinceMs ?? nowMs),
          budgetMs: this.#budgetMs,
          aborted: this.#signal.aborted,
          reopenable: flush.reopen !== undefined,
        })
        if (next === 'continue') return 'committed'
        if (next === 'abandon') return 'abandoned'
        if (next === 'fail')
          throw outcome === 'applyFailed'
            ? applyFailed(error, flush)
            : asSnapshotError(error, 'Io', `the fold cannot be written: ${messageOf(error)}`, flush.standing)
        await pause(backOffMs(attempt, RETRY, Math.random()), this.#signal)
        if (next === 'retry') break
        try {
          if ((await flush.reopen!()) === 'restart') return 'restart'
          break
        } catch (thrown) {
          error = thrown
          attempt++
        }
      }
    }
  }

  async #hand(flush: Flush): Promise<void> {
    const { parse, apply } = this.#options
    const updates = this.#unhanded(flush)
    if (updates.length > 0 && (parse !== undefined || apply !== undefined)) {
      const parsed =
        parse === undefined
          ? (updates as readonly unknown[] as readonly T[])
          : await this.#parse(updates, parse)
      if (parsed.length > 0 && apply !== undefined)
        await apply(parsed, {
          cursor: flush.cursor,
          phase: flush.phase,
          signal: this.#signal,
        } satisfies ApplyContext)
    }
    const revision = flush.cursor.revision
    if (revision !== undefined && (this.#handedThrough === undefined || revision > this.#handedThrough))
      this.#handedThrough = revision
  }

  #unhanded({ updates }: Flush): readonly KvUpdate[] {
    const through = this.#handedThrough
    const first = updates[0]?.version.revision
    if (through === undefined || first === undefined || first > through) return updates
    return updates.filter(({ version }) => version.revision === undefined || version.revision > through)
  }

  async #parse(updates: readonly KvUpdate[], parse: (update: KvUpdate) => T | undefined): Promise<T[]> {
    const parsed: T[] = []
    this.#slices.begin()
    let sinceYield = 0
    for (const update of updates) {
      const value = parse(update)
      if (value !== undefined) parsed.push(value)
      if (++sinceYield < YIELD_EVERY) continue
      sinceYield = 0
      if (this.#slices.due()) await this.#slices.pause()
    }
    this.#slices.end()
    return parsed
  }
}

/** In milliseconds, 30 s unless given; RangeError for a negative one. */
export function retryBudget({ retryBudgetMs = 30_000 }: { readonly retryBudgetMs?: number }): number {
  if (!(retryBudgetMs >= 0)) throw new RangeError(`retryBudgetMs must be 0 or more, not ${retryBudgetMs}`)
  return retryBudgetMs
}

function applyFailed(cause: unknown, { standing, updates }: Flush): KvError {
  return new KvError(
    'ApplyFailed',
    `apply kept failing for a batch of ${updates.length} updates: ${messageOf(cause)}`,
    { cause, cursor: standing },
  )
}
