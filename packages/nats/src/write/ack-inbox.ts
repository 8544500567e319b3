import { headers, nuid, type Msg, type NatsConnection as Client, type Subscription } from '@nats-io/nats-core'
import { KvError, type WaitOptions } from '@slip/kv-core'

import { asKvError, refusal, type ApiErrorReply } from '../errors.ts'

/** One message to a stream, whose acknowledgement is awaited. */
export interface Publication {
  readonly subject: string
  readonly payload: Uint8Array
  readonly fields?: readonly (readonly [name: string, value: string])[]
  /** For messages: "put a.b". */
  readonly what: string
}

interface Pending {
  readonly publication: Publication
  readonly deadline: number
  readonly resolve: (revision: number) => void
  readonly reject: (error: unknown) => void
}

interface AckReply {
  readonly seq?: number
  readonly error?: ApiErrorReply
}

const TICK_MS = 100
const NO_RESPONDERS = 503

/**
 * Publishes to streams and matches the acknowledgements, all on one subscription and one timer: a
 * request of the client for each write costs ten times as much.
 */
export class AckInbox {
  readonly #client: Client
  readonly #prefix: string
  readonly #pending = new Map<string, Pending>()
  #subscription: Subscription | undefined
  #timer: NodeJS.Timeout | undefined
  #next = 0
  #closed = false

  constructor(client: Client, inboxPrefix: string) {
    this.#client = client
    this.#prefix = `${inboxPrefix}.${nuid.next()}.`
  }

  /**
   * Resolves with the revision. KvError: `OutcomeUnknown` when no acknowledgement came in time or the
   * connection went; `Unreachable` when nobody received it; what the server refused; `Closed` after
   * `close`; the signal's reason on abort, and then the write may have happened.
   */
  publish(publication: Publication, options: WaitOptions & { readonly timeoutMs: number }): Promise<number> {
    const { signal, timeoutMs } = options
    if (signal?.aborted === true) return Promise.reject(signal.reason as Error)
    if (this.#closed)
      return Promise.reject(new KvError('Closed', `${publication.what}: the connection is closed`))
    const token = (this.#next++).toString(36)
    return new Promise<number>((resolve, reject) => {
      const pending = { publication, deadline: performance.now() + timeoutMs, resolve, reject }
      this.#pending.set(token, signal === undefined ? pending : this.#abortable(token, pending, signal))
      try {
        this.#listen()
        this.#send(publication, token)
      } catch (error) {
        this.#settle(token)?.reject(asKvError(error, publication.what))
      }
    })
  }

  /** The server reported that it may not be published to this subject. */
  denied(subject: string): void {
    for (const [token, { publication }] of this.#pending)
      if (publication.subject === subject)
        this.#settle(token)?.reject(
          new KvError('PermissionDenied', `${publication.what}: no permission to publish it`),
        )
  }

  /** Acknowledgements under way are lost with the connection. */
  disconnected(): void {
    this.#failAll('the connection was lost before an acknowledgement came')
  }

  close(): void {
    this.#closed = true
    this.#failAll('the connection was closed before an acknowledgement came')
    clearInterval(this.#timer)
    if (this.#subscription?.isClosed() === false) this.#subscription.unsubscribe()
  }

  #send({ subject, payload, fields }: Publication, token: string): void {
    const reply = this.#prefix + token
    if (fields === undefined) return this.#client.publish(subject, payload, { reply })
    const block = headers()
    for (const [name, value] of fields) block.set(name, value)
    this.#client.publish(subject, payload, { reply, headers: block })
  }

  #listen(): void {
    if (this.#subscription === undefined || this.#subscription.isClosed())
      this.#subscription = this.#client.subscribe(`${this.#prefix}*`, {
        callback: (error, message) => {
          if (error) this.#refused(error)
          else this.#received(message)
        },
      })
    this.#timer ??= setInterval(() => this.#expire(), TICK_MS)
  }

  /** Runs inside the client's parser, so it must not throw. */
  #received(message: Msg): void {
    const pending = this.#settle(message.subject.slice(this.#prefix.length))
    if (pending === undefined) return
    const { resolve, reject, publication } = pending
    const { data } = message
    if (data.length === 0 && message.headers?.code === NO_RESPONDERS)
      return reject(new KvError('Unreachable', `${publication.what}: no stream received it`))
    try {
      const { seq, error } = JSON.parse(
        Buffer.from(data.buffer, data.byteOffset, data.length).toString(),
      ) as AckReply
      if (error !== undefined) reject(refusal(error, publication.what))
      else if (seq === undefined) throw new SyntaxError('an acknowledgement without a sequence')
      else resolve(seq)
    } catch (error) {
      reject(asKvError(error, publication.what, 'write'))
    }
  }

  /** The subscription itself was refused: no acknowledgement can come. */
  #refused(error: Error): void {
    for (const token of this.#pending.keys()) this.#settle(token)?.reject(asKvError(error, 'write', 'write'))
  }

  #settle(token: string): Pending | undefined {
    const pending = this.#pending.get(token)
    this.#pending.delete(token)
    return pending
  }

  #failAll(why: string): void {
    for (const [token, { publication }] of this.#pending)
      this.#settle(token)?.reject(new KvError('OutcomeUnknown', `${publication.what}: ${why}`))
  }

  #expire(): void {
    const now = performance.now()
    for (const [token, { deadline, publication }] of this.#pending)
      if (deadline <= now)
        this.#settle(token)?.reject(
          new KvError('OutcomeUnknown', `${publication.what}: no acknowledgement in time`),
        )
    if (this.#pending.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #abortable(token: string, pending: Pending, signal: AbortSignal): Pending {
    const abort = (): void => this.#settle(token)?.reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    const ended =
      <T>(end: (value: T) => void) =>
      (value: T): void => {
        signal.removeEventListener('abort', abort)
        end(value)
      }
    return { ...pending, resolve: ended(pending.resolve), reject: ended(pending.reject) }
  }
}
