import {
  KvError,
  protocol,
  type WatchBatch,
  type WatchCursor,
  type WatchOptions,
  type WatchScope,
} from '@slip/kv-core'

import type { BucketContext } from '../bucket-context.ts'
import { onConnectionTrouble } from './connection-trouble.ts'
import { ConsumerFeed, type FeedPlan } from './consumer-feed.ts'
import { scopeFilters } from './filters.ts'
import { Silence, TICK_MS } from './heartbeat.ts'
import { Intake } from './intake.ts'
import type { ReceivePath } from './receive-path.ts'
import { expiredStart, lineageError, type StreamFacts } from './stream-facts.ts'
import { readStreamFacts } from './stream-probe.ts'

/** What `describe` said last, which a session must still find true. */
export interface Described {
  readonly created: string
  readonly firstSequence: number
}

/** Counters over all sessions of a watcher. */
export interface SessionStats {
  sessions: number
  /** Messages whose key is not UTF-8: skipped, and passed by the cursor. */
  undecodableKeys: number
  /** The most bytes that ever waited for a reader. */
  peakQueuedBytes: number
}

export interface SessionPlan {
  readonly scope: WatchScope
  readonly options: WatchOptions
  readonly described: Described | undefined
  readonly stats: SessionStats
}

const PULSE_MS = 500
const INSPECT_EVERY_MS = 5_000

/**
 * One watch on one consumer of its own. It ends at the first sign of trouble, and the next one begins
 * from the applied cursor: nothing is waited for that may have been lost.
 */
export class Session {
  readonly #context: BucketContext
  readonly #path: ReceivePath
  readonly #plan: SessionPlan
  readonly #feedPlan: FeedPlan
  readonly #after: number
  readonly #intake: Intake
  readonly #silence = new Silence()
  readonly #cleanup: (() => void)[] = []
  #feed: ConsumerFeed | undefined
  #created: string | undefined
  #asking = false

  /** KvError `CursorExpired` for a cursor that is no position of a stream. */
  constructor(context: BucketContext, path: ReceivePath, plan: SessionPlan) {
    const { options, stats, scope } = plan
    this.#context = context
    this.#path = path
    this.#plan = plan
    this.#after = options.after === undefined ? 0 : sequenceBefore(options.after)
    this.#intake = new Intake((subject) => path.answer(subject), this.#after)
    this.#feedPlan = {
      filters: scopeFilters(context.subjectPrefix, scope),
      emptyValues: options.emptyValues ?? 'tombstone',
      intake: this.#intake,
      heard: () => this.#silence.heard(),
      undecodable: () => stats.undecodableKeys++,
      stuck: () => void this.#replaceFeed(),
    }
    stats.sessions++
  }

  /** The next batch; asking says that the last was consumed. Throws what ended the session. */
  async take(): Promise<WatchBatch> {
    return await this.#intake.take()
  }

  /** Makes the consumer. */
  async open(): Promise<void> {
    const { signal } = this.#plan.options
    this.#cleanup.push(onAbort(signal, () => this.#intake.fail(signal.reason)))
    this.#cleanup.push(onConnectionTrouble(this.#context.connection, (error) => this.#intake.fail(error)))
    await this.#attach(this.#after, this.#plan.described?.created)
    this.#watchTime()
  }

  /** Idempotent. */
  close(): void {
    this.#intake.fail(new KvError('Closed', 'the session was closed'))
    this.#feed?.close()
    for (const undo of this.#cleanup.splice(0).reverse()) undo()
    const { stats } = this.#plan
    stats.peakQueuedBytes = Math.max(stats.peakQueuedBytes, this.#intake.peakBytes)
  }

  /** The stream is read before and after the consumer is made, so that all of it is one incarnation. */
  async #attach(after: number, created: string | undefined): Promise<void> {
    const { signal } = this.#plan.options
    const start = await this.#intake.orFailure(readStreamFacts(this.#context, { signal }))
    this.#judge(start, created ?? start.created, after)
    const feed = new ConsumerFeed(this.#context, this.#feedPlan, start, after)
    this.#feed = feed
    await this.#intake.orFailure(feed.open(this.#path))
    this.#silence.begin(feed.pending)
    const opened = await this.#intake.orFailure(readStreamFacts(this.#context, { signal }))
    this.#judge(opened, start.created, after)
    this.#created = start.created
    feed.begin(opened.lastSequence)
  }

  async #replaceFeed(): Promise<void> {
    const { frontier } = this.#feed!
    this.#feed!.close()
    try {
      await this.#attach(frontier, this.#created)
    } catch (error) {
      this.#intake.fail(error)
    }
  }

  #judge(facts: StreamFacts, created: string, position: number): void {
    const { bucket } = this.#context
    const wrong =
      lineageError(bucket, facts, created, position) ??
      // What is hydrated from nothing goes on where it stands, whatever left the bucket meanwhile.
      expiredStart(bucket, facts, this.#after === 0 ? 0 : position, {
        cursor: this.#plan.options.after,
        describedFirst: this.#plan.described?.firstSequence,
      })
    if (wrong !== undefined) throw wrong
  }

  #watchTime(): void {
    let last = performance.now()
    let pulsed = last
    let inspected = last
    let heardAtMs = last
    const timer = setInterval(() => {
      const now = performance.now()
      const verdict = this.#silence.passed(now - last)
      if (this.#silence.takeHeard()) {
        heardAtMs = last
        this.#intake.heard(heardAtMs)
      }
      last = now
      if (verdict === 'dead')
        return this.#intake.fail(
          new KvError('Unreachable', `no sign of life from the consumer for ${this.#silence.endsAfterMs} ms`),
        )
      if (now - pulsed >= PULSE_MS) {
        pulsed = now
        const feed = this.#feed!
        if (feed.takeUnseen()) this.#intake.pulse(feed.frontier, feed.atEnd, heardAtMs)
      }
      if (verdict === 'probe') this.#ask((feed) => feed.probe.consumer(feed.frontier))
      else if (now - inspected >= INSPECT_EVERY_MS) {
        inspected = now
        this.#ask((feed) => feed.probe.stream(feed.frontier))
      }
    }, TICK_MS)
    this.#cleanup.push(() => clearInterval(timer))
  }

  /** The frontier is taken before the question, so that an answer below it is a contradiction. */
  #ask(question: (feed: ConsumerFeed) => Promise<KvError | undefined>): void {
    if (this.#asking) return
    this.#asking = true
    const feed = this.#feed!
    void question(feed)
      .then((error) => {
        if (error !== undefined && feed === this.#feed) this.#intake.fail(error)
      })
      .catch((error: unknown) => this.#intake.fail(error))
      .finally(() => (this.#asking = false))
  }
}

/** The sequence a consumer that resumes starts behind; 0 for one that delivers everything. */
function sequenceBefore(after: WatchCursor): number {
  const start = protocol.resumeStart(after)
  if (start.action === 'refuse')
    throw new KvError('CursorExpired', `no watch can start after cursor ${after.toHex()}: ${start.reason}`)
  return start.action === 'start' ? Number(start.fromRevision - 1n) : 0
}

function onAbort(signal: AbortSignal, listener: () => void): () => void {
  signal.addEventListener('abort', listener, { once: true })
  return () => signal.removeEventListener('abort', listener)
}
