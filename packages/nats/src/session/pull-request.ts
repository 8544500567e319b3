import { nuid } from '@nats-io/nats-core'
import { KvError } from '@slip/kv-core'

import type { BucketContext } from '../bucket-context.ts'
import { readHeaders } from './message-headers.ts'
import { ClientReceivePath, type ReceiveHandlers, type ReceiveSubscription } from './receive-path.ts'
import { emptyPosition, readReplySubject, type DeliveryPosition } from './reply-subject.ts'

/** What a pull consumer is asked for, as the server reads it. */
export interface PullBody {
  readonly batch: number
  readonly max_bytes?: number
  readonly no_wait?: boolean
  readonly expires?: number
  readonly idle_heartbeat?: number
}

/** How a request ended. */
export type Pulled =
  /** With as much as it asked for, or was allowed: there may be more. */
  | { readonly why: 'full' }
  /** Something came, and then the server found nothing more. */
  | { readonly why: 'end' }
  /** Nothing came, which proves nothing: the server judges by a count that lags. */
  | { readonly why: 'none' }
  /** Nothing came, and the consumer has looked at everything up to `at`. */
  | { readonly why: 'standing'; readonly at: number }
  /** There is no such consumer, or it was about to go. */
  | { readonly why: 'gone' }

export type PulledMessageHandler = (
  subject: Uint8Array,
  headers: Uint8Array | undefined,
  payload: Uint8Array,
  position: DeliveryPosition,
) => void

const IDLE_HEARTBEAT = 100
const NO_MESSAGES = 404
const REQUEST_TIMEOUT = 408
const LIMIT_REACHED = 409

interface Open {
  readonly reply: string | undefined
  readonly batch: number
  count: number
  readonly settle: (pulled: Pulled) => void
}

/** Requests to a pull consumer, one at a time, and what comes of them. */
export class PullRequest {
  readonly #context: BucketContext
  readonly #handler: PulledMessageHandler
  readonly #inbox: string
  readonly #position = emptyPosition()
  readonly #failed: Promise<never>
  #reject: (error: unknown) => void = () => undefined
  #subscription: ReceiveSubscription | undefined
  #received = 0
  #requests = 0
  #open: Open | undefined
  #silence: NodeJS.Timeout | undefined

  constructor(context: BucketContext, handler: PulledMessageHandler) {
    this.#context = context
    this.#handler = handler
    this.#inbox = `${context.inboxPrefix}.${nuid.next()}`
    this.#failed = new Promise<never>((_, reject) => (this.#reject = reject))
    this.#failed.catch(() => undefined)
  }

  /** The messages that follow are another consumer's: they are counted from 1. */
  consumerChanged(): void {
    this.#received = 0
  }

  async send(subject: string, body: PullBody): Promise<Pulled> {
    const { connection, timeoutMs } = this.#context
    this.#subscription ??= new ClientReceivePath(connection).subscribe(`${this.#inbox}.*`, this.#handlers())
    const reply = `${this.#inbox}.${++this.#requests}`
    const pulled = new Promise<Pulled>(
      (settle) => (this.#open = { reply, batch: body.batch, count: 0, settle }),
    )
    this.#silence = setTimeout(() => this.fail(new KvError('Timeout', `${subject}: timeout`)), timeoutMs)
    try {
      connection.publish(subject, JSON.stringify(body), { reply })
      return await this.orFailure(pulled)
    } finally {
      this.#open = undefined
      clearTimeout(this.#silence)
    }
  }

  /** What came by another way in answer to a request for `batch` messages. */
  answeredBy(batch: number, deliver: (handlers: ReceiveHandlers) => void): Pulled {
    let pulled: Pulled | undefined
    this.#open = { reply: undefined, batch, count: 0, settle: (how) => (pulled ??= how) }
    deliver(this.#handlers())
    this.#open = undefined
    return pulled ?? { why: 'none' }
  }

  /** Ends what is under way, and all that follows, with `error`. */
  fail(error: unknown): void {
    this.#reject(error)
  }

  /** `work`, or the failure when that comes first. */
  async orFailure<T>(work: Promise<T>): Promise<T> {
    return await Promise.race([work, this.#failed])
  }

  close(): void {
    this.fail(new KvError('Closed', 'reading ended'))
    this.#subscription?.close()
  }

  #handlers(): ReceiveHandlers {
    return {
      message: (subject, reply, headers, payload) => {
        this.#silence?.refresh()
        if (reply !== undefined && readReplySubject(reply, this.#position))
          this.#delivery(subject, headers, payload)
        else if (headers !== undefined && this.#open !== undefined)
          this.#status(this.#open, subject, readHeaders(headers))
      },
      ended: (error) => this.fail(error),
    }
  }

  #delivery(subject: Uint8Array, headers: Uint8Array | undefined, payload: Uint8Array): void {
    const { consumerSequence } = this.#position
    if (consumerSequence !== ++this.#received) {
      const seen = `number ${consumerSequence} came where ${this.#received} was due`
      this.fail(new KvError('Unreachable', `messages were lost: ${seen}`))
      return
    }
    this.#handler(subject, headers, payload, this.#position)
    const open = this.#open
    if (open !== undefined && ++open.count === open.batch) open.settle({ why: 'full' })
  }

  #status(open: Open, subject: Uint8Array, { status, fields }: ReturnType<typeof readHeaders>): void {
    if (open.reply !== undefined && Buffer.from(subject).toString('latin1') !== open.reply) return
    const some = open.count > 0
    if (status === IDLE_HEARTBEAT) {
      if (!some) open.settle({ why: 'standing', at: Number(fields.get('nats-last-stream') ?? 0) })
    } else if (status === NO_MESSAGES || status === REQUEST_TIMEOUT)
      open.settle({ why: some ? 'end' : 'none' })
    else open.settle({ why: some && status === LIMIT_REACHED ? 'full' : 'gone' })
  }
}
