import { nuid } from '@nats-io/nats-core'
import {
  KvError,
  protocol,
  type WatchBatch,
  type WatchCursor,
  type WatchOptions,
  type WatchScope,
} from '@slip/kv-core'

import type { WatchContext } from './watch-context.ts'
import { onConnectionTrouble } from './connection-trouble.ts'
import { watchConsumer } from './consumer-config.ts'
import { DeliveryDecoder } from './delivery.ts'
import { scopeFilters, type ScopeFilters } from './filters.ts'
import { DEAD_AFTER_MS, Silence, TICK_MS } from './heartbeat.ts'
import { Inflow } from './inflow.ts'
import { Intake } from './intake.ts'
import { Readiness } from './readiness.ts'
import type { ReceiveHandlers, ReceivePath } from './receive-path.ts'
import { expiredStart, lineageError, type StreamFacts } from './stream-facts.ts'
import { readStreamFacts, StreamProbe } from './stream-probe.ts'

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

interface Live {
  readonly inflow: Inflow
  readonly readiness: Readiness
  readonly probe: StreamProbe
}

type Parts = Parameters<ReceiveHandlers['message']>

const PULSE_MS = 500
const INSPECT_EVERY_MS = 5_000

/**
 * One watch on one consumer of its own. It ends at the first sign of trouble, and the next one begins
 * from the applied cursor: nothing is waited for that may have been lost.
 */
export class Session {
  readonly #context: WatchContext
  readonly #path: ReceivePath
  readonly #plan: SessionPlan
  readonly #filters: ScopeFilters
  readonly #after: number
  readonly #name: string = `slip_${nuid.next()}`
  readonly #intake: Intake
  readonly #silence = new Silence()
  readonly #early: Parts[] = []
  readonly #cleanup: (() => void)[] = []
  #live: Live | undefined
  #asking = false

  /** KvError `CursorExpired` for a cursor that is no position of a stream. */
  constructor(context: WatchContext, path: ReceivePath, plan: SessionPlan) {
    const { after } = plan.options
    this.#context = context
    this.#path = path
    this.#plan = plan
    this.#filters = scopeFilters(context.subjectPrefix, plan.scope)
    this.#after = after === undefined ? 0 : sequenceBefore(after)
    this.#intake = new Intake((subject) => path.answer(subject), this.#after)
    plan.stats.sessions++
  }

  /** The next batch; asking says that the last was consumed. Throws what ended the session. */
  async take(): Promise<WatchBatch> {
    return await this.#intake.take()
  }

  /** Makes the consumer. The stream is read before and after, so that all of it is one incarnation. */
  async open(): Promise<void> {
    const { signal } = this.#plan.options
    this.#cleanup.push(onAbort(signal, () => this.#intake.fail(signal.reason)))
    this.#cleanup.push(onConnectionTrouble(this.#context.connection, (error) => this.#intake.fail(error)))
    const start = await this.#intake.orFailure(readStreamFacts(this.#context, { signal }))
    this.#judge(start, this.#plan.described?.created ?? start.created)
    const inbox = `${this.#context.inboxPrefix}.${nuid.next()}`
    const subscription = this.#path.subscribe(inbox, this.#handlers())
    this.#cleanup.push(() => subscription.close())
    const pending = await this.#intake.orFailure(this.#createConsumer(inbox))
    this.#judge(await this.#intake.orFailure(readStreamFacts(this.#context, { signal })), start.created)
    this.#begin(start, pending)
  }

  /** Idempotent. The consumer is deleted without waiting for it: the server drops it by itself too. */
  close(): void {
    this.#intake.fail(new KvError('Closed', 'the session was closed'))
    for (const undo of this.#cleanup.splice(0).reverse()) undo()
    const { stats } = this.#plan
    stats.peakQueuedBytes = Math.max(stats.peakQueuedBytes, this.#intake.peakBytes)
  }

  #judge(facts: StreamFacts, created: string): void {
    const { bucket } = this.#context
    const wrong =
      lineageError(bucket, facts, created, this.#after) ??
      expiredStart(bucket, facts, this.#after, this.#plan.described?.firstSequence)
    if (wrong !== undefined) throw wrong
  }

  #handlers(): ReceiveHandlers {
    return {
      // The server may send before its reply to the create request is here.
      message: (...parts) => {
        if (this.#live === undefined) this.#early.push(parts)
        else this.#live.inflow.message(...parts)
      },
      ended: (error) => this.#intake.fail(error),
    }
  }

  async #createConsumer(inbox: string): Promise<number> {
    const { subject, body } = watchConsumer(
      {
        stream: this.#context.stream,
        name: this.#name,
        subjects: this.#filters.subjects,
        deliverFrom: this.#after === 0 ? 'lastPerSubject' : { fromSequence: this.#after + 1 },
      },
      inbox,
    )
    this.#cleanup.push(() => this.#deleteConsumer())
    const reply = await this.#context.api(subject, body, { signal: this.#plan.options.signal })
    return (reply as { readonly num_pending?: number }).num_pending ?? 0
  }

  #deleteConsumer(): void {
    if (this.#context.connection.isClosed()) return
    const subject = `CONSUMER.DELETE.${this.#context.stream}.${this.#name}`
    this.#context.api(subject, undefined, {}).catch(() => undefined)
  }

  #begin(start: StreamFacts, pending: number): void {
    const { stats, options } = this.#plan
    const readiness = new Readiness({
      after: this.#after,
      streamLast: start.lastSequence,
      pending,
      singleReplica: start.replicas === 1,
    })
    const decoder = new DeliveryDecoder({
      subjectPrefix: this.#context.subjectPrefix,
      prefixes: this.#filters.exact ? undefined : this.#filters.prefixes,
      emptyValues: options.emptyValues ?? 'tombstone',
      messageTtls: start.messageTtls,
      maxAgeMs: start.maxAgeMs,
    })
    const inflow = new Inflow({
      decoder,
      readiness,
      intake: this.#intake,
      heard: () => this.#silence.heard(),
      undecodable: () => stats.undecodableKeys++,
    })
    this.#live = { inflow, readiness, probe: new StreamProbe(this.#context, start, this.#name) }
    for (const parts of this.#early.splice(0)) inflow.message(...parts)
    this.#watchTime(this.#live)
  }

  #watchTime(live: Live): void {
    let last = performance.now()
    let pulsed = last
    let inspected = last
    const timer = setInterval(() => {
      const now = performance.now()
      const verdict = this.#silence.passed(now - last)
      last = now
      if (verdict === 'dead')
        return this.#intake.fail(
          new KvError('Unreachable', `no sign of life from the consumer for ${DEAD_AFTER_MS} ms`),
        )
      if (now - pulsed >= PULSE_MS) {
        pulsed = now
        if (live.inflow.takeUnseen()) this.#intake.pulse(live.readiness.frontier)
      }
      if (verdict === 'probe') this.#ask((reached) => live.probe.consumer(reached), live)
      else if (now - inspected >= INSPECT_EVERY_MS) {
        inspected = now
        this.#ask((reached) => live.probe.stream(reached), live)
      }
    }, TICK_MS)
    this.#cleanup.push(() => clearInterval(timer))
  }

  /** `reached` is taken before the question, so that an answer below it is a contradiction. */
  #ask(question: (reached: number) => Promise<KvError | undefined>, live: Live): void {
    if (this.#asking) return
    this.#asking = true
    void question(live.readiness.frontier)
      .then((error) => {
        if (error !== undefined) this.#intake.fail(error)
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
