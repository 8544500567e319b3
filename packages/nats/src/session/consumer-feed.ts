import { nuid } from '@nats-io/nats-core'
import { KvError } from '@slip/kv-core'

import type { BucketContext } from '../bucket-context.ts'
import { watchConsumer } from './consumer-config.ts'
import { DeliveryDecoder } from './delivery.ts'
import type { ScopeFilters } from './filters.ts'
import { Inflow } from './inflow.ts'
import type { Intake } from './intake.ts'
import { Readiness } from './readiness.ts'
import type { ReceiveHandlers, ReceivePath, ReceiveSubscription } from './receive-path.ts'
import { findStreamEnd } from './stream-end.ts'
import type { StreamFacts } from './stream-facts.ts'
import { StreamProbe } from './stream-probe.ts'

export interface FeedPlan {
  readonly filters: ScopeFilters
  readonly emptyValues: 'tombstone' | 'keep'
  readonly intake: Intake
  readonly heard: () => void
  readonly undecodable: () => void
  /** The consumer waits for nothing: another one has to take its place. */
  readonly stuck: () => void
}

type Parts = Parameters<ReceiveHandlers['message']>

/** One push consumer of a session, from its making to its end, and what it delivers. */
export class ConsumerFeed {
  readonly probe: StreamProbe
  readonly #context: BucketContext
  readonly #plan: FeedPlan
  readonly #start: StreamFacts
  readonly #after: number
  readonly #name: string = `slip_${nuid.next()}`
  readonly #early: Parts[] = []
  readonly #closing = new AbortController()
  #subscription: ReceiveSubscription | undefined
  #pending = 0
  #readiness: Readiness | undefined
  #inflow: Inflow | undefined

  /** It starts behind `after`; at 0 with each key's last message. */
  constructor(context: BucketContext, plan: FeedPlan, start: StreamFacts, after: number) {
    this.#context = context
    this.#plan = plan
    this.#start = start
    this.#after = after
    this.probe = new StreamProbe(context, start, this.#name)
  }

  /** Up to where nothing is undelivered. */
  get frontier(): number {
    return this.#readiness?.frontier ?? this.#after
  }

  /** Whether the server had nothing beyond it. */
  get atEnd(): boolean {
    return this.#readiness?.atEnd === true
  }

  /** Messages came that the reader has not seen anything of; reading it clears it. */
  takeUnseen(): boolean {
    return this.#inflow?.takeUnseen() === true
  }

  /** How many messages the server had for the consumer when it was made. */
  get pending(): number {
    return this.#pending
  }

  /** Makes the consumer. What it sends is kept until `begin`. */
  async open(path: ReceivePath): Promise<void> {
    const { stream, inboxPrefix } = this.#context
    const { filters, intake } = this.#plan
    const inbox = `${inboxPrefix}.${nuid.next()}`
    this.#subscription = path.subscribe(inbox, {
      message: (...parts) => {
        if (this.#inflow === undefined) this.#early.push(parts)
        else this.#inflow.message(...parts)
      },
      ended: (error) => intake.fail(error),
    })
    const deliverFrom = this.#after === 0 ? 'lastPerSubject' : { fromSequence: this.#after + 1 }
    const { subject, body } = watchConsumer(
      { stream, name: this.#name, subjects: filters.subjects, deliverFrom },
      inbox,
    )
    const reply = await this.#context.api(subject, body, { signal: this.#closing.signal })
    this.#pending = (reply as { readonly num_pending?: number }).num_pending ?? 0
  }

  /** `listEnd` is a sequence of the stream from after the consumer was made. */
  begin(listEnd: number): void {
    const { filters, emptyValues, intake, heard, undecodable, stuck } = this.#plan
    const { lastSequence: streamLast, replicas, keepsHistory, messageTtls, maxAgeMs } = this.#start
    const readiness = new Readiness({
      after: this.#after,
      streamLast,
      pending: this.#pending,
      singleReplica: replicas === 1,
      listEnd: keepsHistory && this.#after === 0 ? listEnd : undefined,
    })
    const decoder = new DeliveryDecoder({
      subjectPrefix: this.#context.subjectPrefix,
      prefixes: filters.exact ? undefined : filters.prefixes,
      emptyValues,
      messageTtls,
      maxAgeMs,
    })
    const findEnd = (after: number) =>
      findStreamEnd(this.#context, {
        subjects: filters.subjects,
        after,
        start: this.#start,
        lastSequence: () => this.probe.lastSequence(this.#closing.signal),
        signal: this.#closing.signal,
      })
    const inflow = new Inflow({ decoder, readiness, intake, heard, undecodable, stuck, findEnd })
    this.#readiness = readiness
    this.#inflow = inflow
    for (const parts of this.#early.splice(0)) inflow.message(...parts)
  }

  /** Idempotent. The consumer is deleted without waiting for it: the server drops it by itself too. */
  close(): void {
    this.#inflow?.close()
    this.#closing.abort(new KvError('Closed', 'the consumer is not read any more'))
    if (this.#subscription === undefined) return
    this.#subscription.close()
    this.#subscription = undefined
    if (this.#context.connection.isClosed()) return
    const subject = `CONSUMER.DELETE.${this.#context.stream}.${this.#name}`
    this.#context.api(subject, undefined, {}).catch(() => undefined)
  }
}
