import { setTimeout as wait } from 'node:timers/promises'

import { nuid } from '@nats-io/nats-core'
import { KvError, type WaitOptions } from '@slip/kv-core'

import { orAbort } from '../abort.ts'
import { asKvError } from '../errors.ts'
import type { BucketContext } from '../bucket-context.ts'
import { onConnectionTrouble } from './connection-trouble.ts'
import { pullConsumer } from './consumer-config.ts'
import { PullRequest, type Pulled, type PulledMessageHandler } from './pull-request.ts'
import { deliver } from './receive-path.ts'

export interface PagesPlan {
  readonly subjects: readonly string[]
  /** Reading begins behind this sequence; at 0 with each subject's last message. */
  readonly after: number
  readonly headersOnly: boolean
  /** The stream keeps more than one message of a subject. */
  readonly keepsHistory: boolean
  /** The stream has replicas: the one that is read may be behind. */
  readonly replicated: boolean
  /** The end lies at or behind this sequence, which the stream is known to have had. */
  readonly atLeast: number
}

const PAGE_MESSAGES = 4_096
const PAGE_BYTES = 8 * 1024 * 1024
const PROGRESS_DEADLINE_MS = 10_000
const AGAIN_MS = 5
const ONE = JSON.stringify({ batch: 1, no_wait: true })
const NANOSECONDS_PER_MS = 1_000_000
/** A replica that is behind says with every heartbeat how far it is. */
const PROBE = { batch: 1, expires: 500 * NANOSECONDS_PER_MS, idle_heartbeat: 100 * NANOSECONDS_PER_MS }

/**
 * Reads a stream page by page to its end, under writers too. The next page is sent when it is asked for.
 *
 * The end is the server's word: a request that takes what is there and does not wait is over when the
 * server, having sent something, finds nothing more; and a consumer is made with the exact count of what
 * stands behind its start. What is delivered up to there is, subject by subject, the newest at that instant.
 */
export class StreamPages {
  readonly #context: BucketContext
  readonly #plan: PagesPlan
  readonly #options: WaitOptions
  readonly #pull: PullRequest
  readonly #stopListening: () => void
  #consumer: { readonly name: string; readonly skipsRemoved: boolean; asked: boolean } | undefined
  #position: number
  #probing = false
  #progressAt = performance.now()

  constructor(context: BucketContext, plan: PagesPlan, options: WaitOptions, handler: PulledMessageHandler) {
    this.#context = context
    this.#plan = plan
    this.#options = options
    this.#position = plan.after
    this.#pull = new PullRequest(context, (subject, headers, payload, position) => {
      const { streamSequence } = position
      if (streamSequence <= this.#position) this.#pull.fail(anotherHistory(streamSequence, this.#position))
      this.#position = streamSequence
      handler(subject, headers, payload, position)
    })
    this.#stopListening = onConnectionTrouble(context.connection, (error) => this.#pull.fail(error))
  }

  /** The sequence of the last message. */
  get position(): number {
    return this.#position
  }

  /** Hands the next page to the handler. KvError, also `Timeout` when nothing comes for 10 s. */
  async next(): Promise<'more' | 'end'> {
    const before = this.#position
    const verdict = await this.#next()
    const now = performance.now()
    if (this.#position > before) this.#progressAt = now
    else if (verdict === 'more' && now - this.#progressAt > PROGRESS_DEADLINE_MS)
      throw new KvError('Timeout', `reading ${this.#context.bucket} stands still at ${before}`)
    return verdict
  }

  close(): void {
    this.#stopListening()
    this.#drop()
    this.#pull.close()
  }

  async #next(): Promise<'more' | 'end'> {
    const { replicated, atLeast } = this.#plan
    if (this.#consumer === undefined) {
      const pending = await this.#create()
      if (pending === 0 && !replicated) return 'end'
      this.#probing = pending === 0
    }
    const consumer = this.#consumer!
    const pulled = await this.#ask(consumer)
    this.#probing = false
    if (pulled.why === 'full') return 'more'
    if (pulled.why === 'standing') return pulled.at >= atLeast ? 'end' : 'more'
    if (pulled.why === 'end' && !consumer.skipsRemoved) {
      if (!replicated || this.#position >= atLeast) return 'end'
      this.#probing = true
      return 'more'
    }
    if (replicated && pulled.why === 'none' && !consumer.skipsRemoved) this.#probing = true
    else {
      this.#drop()
      if (pulled.why !== 'end') await wait(AGAIN_MS)
    }
    return 'more'
  }

  async #create(): Promise<number> {
    const { stream } = this.#context
    const { subjects, headersOnly, keepsHistory } = this.#plan
    const name = `slip_read_${nuid.next()}`
    const first = this.#position === 0
    const deliverFrom = first ? 'lastPerSubject' : { fromSequence: this.#position + 1 }
    const request = pullConsumer({ stream, name, subjects, deliverFrom }, headersOnly)
    this.#consumer = { name, skipsRemoved: first && keepsHistory, asked: false }
    this.#pull.consumerChanged()
    const reply = await this.#pull.orFailure(this.#context.api(request.subject, request.body, this.#options))
    return (reply as { readonly num_pending?: number }).num_pending ?? 0
  }

  async #ask(consumer: { readonly name: string; asked: boolean }): Promise<Pulled> {
    const subject = `${this.#context.apiPrefix}.CONSUMER.MSG.NEXT.${this.#context.stream}.${consumer.name}`
    if (this.#probing) return await this.#orAbort(this.#pull.send(subject, PROBE))
    if (consumer.asked)
      return await this.#orAbort(
        this.#pull.send(subject, { batch: PAGE_MESSAGES, max_bytes: PAGE_BYTES, no_wait: true }),
      )
    consumer.asked = true
    return await this.#orAbort(this.#askForOne(subject))
  }

  /** The client tells of a missing permission only to its own requests, which bring one message. */
  async #askForOne(subject: string): Promise<Pulled> {
    const { connection, inboxPrefix } = this.#context
    const timeout = this.#options.timeoutMs ?? this.#context.timeoutMs
    const reply = `${inboxPrefix}.${nuid.next()}`
    try {
      // The message comes with its own subject, by which the client's shared inbox would not know it.
      const work = connection.request(subject, ONE, { noMux: true, reply, timeout })
      work.catch(() => undefined)
      const message = await this.#pull.orFailure(work)
      return this.#pull.answeredBy(1, (handlers) => deliver(message, handlers))
    } catch (error) {
      const failure = asKvError(error, `reading ${this.#context.bucket}`)
      if (failure.code === 'Unreachable' && failure !== error) return { why: 'gone' }
      throw failure
    }
  }

  async #orAbort<T>(work: Promise<T>): Promise<T> {
    return await orAbort(work, this.#options.signal)
  }

  /** The consumer is deleted without waiting for it: the server drops it by itself too. */
  #drop(): void {
    const { connection, stream } = this.#context
    if (this.#consumer === undefined || connection.isClosed()) return
    const subject = `CONSUMER.DELETE.${stream}.${this.#consumer.name}`
    this.#consumer = undefined
    this.#context.api(subject, undefined, {}).catch(() => undefined)
  }
}

function anotherHistory(got: number, after: number): KvError {
  return new KvError(
    'BucketRolledBack',
    `revision ${got} was delivered after ${after}: this is another history`,
  )
}
