import type { Msg, NatsConnection } from '@nats-io/nats-core'
import { KvError, type WaitOptions } from '@slip/kv-core'

import { orAbort } from './abort.ts'
import { asKvError, refusal, type ApiErrorReply, type Attempt } from './errors.ts'
import { isDown, onConnectionTrouble, refusedWith, whenConnected } from './session/connection-trouble.ts'

/** Requests to the JetStream API of one connection, under its prefix or domain. */
export class JetStreamApi {
  readonly prefix: string
  /** How long a request waits when the caller says nothing, in milliseconds. */
  readonly timeoutMs: number
  readonly #connection: NatsConnection

  constructor(connection: NatsConnection, prefix: string, timeoutMs: number) {
    this.#connection = connection
    this.prefix = prefix
    this.timeoutMs = timeoutMs
  }

  /**
   * One request; `subject` is without the prefix. Throws KvError; what the server refused has its
   * `err_code` as `code` of the cause. One that is under way when the connection is lost ends with it: it is
   * not answered on another one. One that is made while there is none waits for it within its time.
   */
  async request(
    subject: string,
    body: object | undefined,
    options: WaitOptions = {},
    attempt: Attempt = 'read',
  ): Promise<unknown> {
    const payload = body === undefined ? '' : JSON.stringify(body)
    const message = await this.message(subject, payload, options, attempt)
    let reply: unknown
    try {
      reply = message.json()
    } catch (error) {
      throw asKvError(error, operationOf(subject), attempt)
    }
    const { error } = reply as { readonly error?: ApiErrorReply }
    if (error !== undefined) throw refusal(error, operationOf(subject))
    return reply
  }

  /** Waits for a connection where there is none; gives the milliseconds that are left for the request. */
  async #connected({ timeoutMs = this.timeoutMs, signal }: WaitOptions, what: string): Promise<number> {
    if (!isDown(this.#connection)) return timeoutMs
    const startedMs = performance.now()
    const enough = AbortSignal.timeout(timeoutMs)
    try {
      await whenConnected(this.#connection, signal === undefined ? enough : AbortSignal.any([signal, enough]))
    } catch (error) {
      if (signal?.aborted === true) throw signal.reason
      const { code } = refusedWith(this.#connection) ?? { code: 'Unreachable' }
      throw new KvError(code, `${what}: no connection for ${timeoutMs} ms`, { cause: error })
    }
    return Math.max(1, timeoutMs - (performance.now() - startedMs))
  }

  /** The same with the reply as it came. */
  async message(
    subject: string,
    payload: string,
    options: WaitOptions,
    attempt: Attempt = 'read',
  ): Promise<Msg> {
    options.signal?.throwIfAborted()
    const what = operationOf(subject)
    const timeout = await this.#connected(options, what)
    try {
      const reply = this.#connection.request(`${this.prefix}.${subject}`, payload, { timeout })
      return await orAbort(unlessLost(this.#connection, reply, what, attempt), options.signal)
    } catch (error) {
      if (options.signal?.aborted === true && error === options.signal.reason) throw error
      throw asKvError(error, what, attempt)
    }
  }
}

async function unlessLost(
  connection: NatsConnection,
  reply: Promise<Msg>,
  what: string,
  attempt: Attempt,
): Promise<Msg> {
  reply.catch(() => undefined)
  let stop = (): void => undefined
  const lost = new Promise<never>((_, reject) => {
    stop = onConnectionTrouble(connection, (cause, trouble) => {
      if (trouble === 'lost')
        reject(
          new KvError(attempt === 'write' ? 'OutcomeUnknown' : cause.code, `${what}: ${cause.message}`, {
            cause,
          }),
        )
    })
  })
  try {
    return await Promise.race([reply, lost])
  } finally {
    stop()
  }
}

/** `STREAM.INFO KV_b` of `STREAM.INFO.KV_b`, for messages. */
function operationOf(subject: string): string {
  const [noun, verb, ...rest] = subject.split('.')
  return `${noun}.${verb} ${rest.join('.')}`.trim()
}
