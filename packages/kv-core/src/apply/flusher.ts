import type { WatchCursor } from '../cursor.ts'
import type { KvUpdate } from '../entry.ts'
import { asSnapshotError, KvError, messageOf, SnapshotError } from '../errors.ts'
import type { FlushDecision, FlushInput } from '../protocol/after-flush.ts'
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
  /** Replaces a handle that rejected; absent where that is impossible. Rejects at once when `signal` aborts. */
  reopen?(signal: AbortSignal): Promise<'commit' | 'restart'>
}

/** Hears of an attempt that failed and will be made again; `error` is what the flush would end with. */
export type OnFlushFailing = (error: KvError | SnapshotError) => void

type AttemptOutcome = FlushInput['outcome'] | 'restart'

/** How far a batch has come, and what stopped it last. */
interface Progress {
  handed: boolean
  handle: FlushDecision['handle']
  error: unknown
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
  readonly #onFailing: OnFlushFailing | undefined
  readonly #slices = new Slices('follow.apply')
  #handedThrough: bigint | undefined

  /** RangeError for a negative budget. */
  constructor(
    options: Pick<ApplyOptionsOf<T>, 'parse' | 'apply' | 'retryBudgetMs'>,
    signal: AbortSignal,
    onFailing?: OnFlushFailing,
  ) {
    this.#options = options
    this.#budgetMs = retryBudget(options)
    this.#signal = signal
    this.#onFailing = onFailing
  }

  /** Another history begins: its revisions were not handed over yet. */
  forget(): void {
    this.#handedThrough = undefined
  }

  /**
   * Rejects with KvError `ApplyFailed` or with the store's SnapshotError, both carrying `standing`. An
   * abort ends the retries: of `apply` quietly, of a commit with its error, because what the store
   * holds can then not be made durable.
   */
  async flush(flush: Flush): Promise<FlushOutcome> {
    const progress: Progress = { handed: false, handle: 'good', error: undefined }
    let failingSinceMs = flush.failingSinceMs
    let outcome: AttemptOutcome = 'applyFailed'
    for (let attempt = 0; ; attempt++) {
      // An abort in the back-off ends it here: the attempt before it is the last.
      if (attempt === 0 || !this.#signal.aborted) outcome = await this.#attempt(flush, progress)
      if (outcome === 'restart') return 'restart'
      const nowMs = performance.now()
      if (outcome !== 'committed') failingSinceMs ??= nowMs
      const decision = protocol.afterFlush({
        outcome,
        failingForMs: nowMs - (failingSinceMs ?? nowMs),
        budgetMs: this.#budgetMs,
        aborted: this.#signal.aborted,
        reopenable: flush.reopen !== undefined,
      })
      if (decision.cursor === 'advance') return 'committed'
      if (decision.next === 'abandon') return 'abandoned'
      if (decision.next === 'fail') throw failure(outcome, progress.error, flush)
      progress.handle = decision.handle
      this.#onFailing?.(failure(outcome, progress.error, flush))
      await pause(backOffMs(attempt, RETRY, Math.random()), this.#signal)
    }
  }

  async #attempt(flush: Flush, progress: Progress): Promise<AttemptOutcome> {
    try {
      if (progress.handle === 'done') {
        if ((await flush.reopen!(this.#signal)) === 'restart') return 'restart'
        progress.handle = 'good'
      }
      if (!progress.handed) await this.#hand(flush)
      progress.handed = true
      await flush.commit()
      return 'committed'
    } catch (thrown) {
      // An abort of the reopening says nothing of what went wrong before it.
      const isAbort = this.#signal.aborted && thrown === this.#signal.reason
      if (progress.error === undefined || !isAbort) progress.error = thrown
      if (!progress.handed) return 'applyFailed'
      return isLimit(thrown) ? 'poisoned' : 'commitFailed'
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
    const isNew = ({ version: { revision } }: KvUpdate): boolean =>
      protocol.handOver({ handedThrough: this.#handedThrough, revision }) === 'hand'
    // Revisions ascend, so a batch whose first is new is new as a whole.
    const first = updates[0]
    return first === undefined || isNew(first) ? updates : updates.filter(isNew)
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

function isLimit(thrown: unknown): boolean {
  return SnapshotError.is(thrown) && thrown.code === 'LimitExceeded'
}

function failure(
  outcome: AttemptOutcome,
  cause: unknown,
  { standing, updates }: Flush,
): KvError | SnapshotError {
  // What is handed over before the fold is opened again.
  if (KvError.is(cause) && cause.code === 'ApplyFailed') return cause
  if (outcome !== 'applyFailed')
    return asSnapshotError(cause, 'Io', `the fold cannot be written: ${messageOf(cause)}`, standing)
  return new KvError(
    'ApplyFailed',
    `apply failed for a batch of ${updates.length} updates: ${messageOf(cause)}`,
    { cause, cursor: standing },
  )
}
