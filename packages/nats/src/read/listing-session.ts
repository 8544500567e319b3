import { nuid } from '@nats-io/nats-core'
import { KvError, type WaitOptions, type WatchBatch } from '@slip/kv-core'

import type { BucketContext } from '../bucket-context.ts'
import { onConnectionTrouble } from '../session/connection-trouble.ts'
import { watchConsumer } from '../session/consumer-config.ts'
import { DeliveryDecoder } from '../session/delivery.ts'
import { scopeFilters } from '../session/filters.ts'
import { Silence, TICK_MS } from '../session/heartbeat.ts'
import { Inflow } from '../session/inflow.ts'
import { Intake } from '../session/intake.ts'
import { Readiness } from '../session/readiness.ts'
import { ClientReceivePath, type ReceiveHandlers } from '../session/receive-path.ts'
import { lineageError, type StreamFacts } from '../session/stream-facts.ts'
import { readStreamFacts } from '../session/stream-probe.ts'
import { HeadersOnlyDecoder } from './headers-only-decoder.ts'

type Parts = Parameters<ReceiveHandlers['message']>

/** A listing's consumer that brings nothing new for this long, asked to, has failed. */
const PROGRESS_DEADLINE_MS = 10_000

/**
 * One consumer that delivers each key's last message, read until it is caught up. The server sends
 * only as fast as batches are taken.
 */
export class ListingSession {
  readonly #context: BucketContext
  readonly #options: WaitOptions
  readonly #path: ClientReceivePath
  readonly #intake: Intake
  readonly #silence = new Silence()
  readonly #name = `slip_list_${nuid.next()}`
  readonly #early: Parts[] = []
  readonly #cleanup: (() => void)[] = []
  #inflow: Inflow | undefined
  #start: StreamFacts | undefined
  #position = 0n
  #progressAt = performance.now()

  constructor(context: BucketContext, options: WaitOptions) {
    this.#context = context
    this.#options = options
    this.#path = new ClientReceivePath(context.connection)
    this.#intake = new Intake((subject) => this.#path.answer(subject), 0)
  }

  /** Makes the consumer; gives the last revision the bucket had before. */
  async open(prefix: string, headersOnly: boolean): Promise<bigint> {
    const { signal } = this.#options
    if (signal !== undefined) this.#endOnAbort(signal)
    this.#cleanup.push(onConnectionTrouble(this.#context.connection, (error) => this.#intake.fail(error)))
    const start = await this.#intake.orFailure(readStreamFacts(this.#context, this.#options))
    this.#start = start
    const { prefixes, subjects, exact } = scopeFilters(this.#context.subjectPrefix, { prefix })
    const pending = await this.#intake.orFailure(this.#createConsumer(subjects, headersOnly))
    const Decoder = headersOnly ? HeadersOnlyDecoder : DeliveryDecoder
    const inflow = new Inflow({
      decoder: new Decoder({
        subjectPrefix: this.#context.subjectPrefix,
        prefixes: exact ? undefined : prefixes,
        emptyValues: headersOnly ? 'keep' : 'tombstone',
        messageTtls: start.messageTtls,
        maxAgeMs: start.maxAgeMs,
      }),
      readiness: new Readiness({
        after: 0,
        streamLast: start.lastSequence,
        pending,
        singleReplica: start.replicas === 1,
      }),
      intake: this.#intake,
      heard: () => this.#silence.heard(),
      undecodable: () => undefined,
    })
    this.#inflow = inflow
    for (const parts of this.#early.splice(0)) inflow.message(...parts)
    this.#watchSilence()
    return BigInt(start.lastSequence)
  }

  /** The next batch, a heartbeat's empty one included; KvError `Timeout` when none brings anything for 10 s. */
  async take(): Promise<WatchBatch> {
    const batch = await this.#intake.take()
    const now = performance.now()
    const position = batch.bookmark?.revision ?? 0n
    if (batch.updates.length > 0 || batch.caughtUp || position > this.#position) this.#progressAt = now
    this.#position = position
    if (now - this.#progressAt > PROGRESS_DEADLINE_MS)
      throw new KvError('Timeout', `a listing of ${this.#context.bucket} stands still`)
    return batch
  }

  /** The last revision the bucket has; KvError `BucketRecreated` when what was listed is not one bucket. */
  async lastRevision(): Promise<bigint> {
    const start = this.#start!
    const facts = await this.#intake.orFailure(readStreamFacts(this.#context, this.#options))
    const wrong = lineageError(this.#context.bucket, facts, start.created, start.lastSequence)
    if (wrong !== undefined) throw wrong
    return BigInt(facts.lastSequence)
  }

  close(): void {
    this.#intake.fail(new KvError('Closed', 'the listing was left'))
    for (const undo of this.#cleanup.splice(0).reverse()) undo()
  }

  async #createConsumer(subjects: readonly string[], headersOnly: boolean): Promise<number> {
    const { stream, inboxPrefix, bucket } = this.#context
    const inbox = `${inboxPrefix}.${nuid.next()}`
    const subscription = this.#path.subscribe(inbox, {
      // The server may send before its reply to the create request is here.
      message: (...parts) => {
        if (this.#inflow === undefined) this.#early.push(parts)
        else this.#inflow.message(...parts)
      },
      ended: () => this.#intake.fail(new KvError('Unreachable', `the listing of ${bucket} was cut off`)),
    })
    this.#cleanup.push(() => subscription.close())
    const plan = { stream, name: this.#name, subjects, deliverFrom: 'lastPerSubject' } as const
    const { subject, body } = watchConsumer(plan, inbox)
    this.#cleanup.push(() => this.#deleteConsumer())
    const request = headersOnly ? withHeadersOnly(body) : body
    const reply = await this.#context.api(subject, request, this.#options)
    return (reply as { readonly num_pending?: number }).num_pending ?? 0
  }

  #deleteConsumer(): void {
    if (this.#context.connection.isClosed()) return
    const subject = `CONSUMER.DELETE.${this.#context.stream}.${this.#name}`
    this.#context.api(subject, undefined, {}).catch(() => undefined)
  }

  #endOnAbort(signal: AbortSignal): void {
    const end = () => this.#intake.fail(signal.reason)
    signal.addEventListener('abort', end, { once: true })
    this.#cleanup.push(() => signal.removeEventListener('abort', end))
  }

  #watchSilence(): void {
    let last = performance.now()
    const timer = setInterval(() => {
      const now = performance.now()
      const verdict = this.#silence.passed(now - last)
      last = now
      if (verdict === 'dead')
        this.#intake.fail(new KvError('Unreachable', `no sign of life while listing ${this.#context.bucket}`))
    }, TICK_MS)
    this.#cleanup.push(() => clearInterval(timer))
  }
}

function withHeadersOnly(body: object): object {
  const { config } = body as { readonly config: object }
  return { ...body, config: { ...config, headers_only: true } }
}
