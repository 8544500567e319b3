import { setTimeout as wait } from 'node:timers/promises'

import {
  PermissionViolationError,
  type Msg,
  type MsgHdrs,
  type NatsConnection,
  type Subscription,
} from '@nats-io/nats-core'
import { KvError } from '@slip/kv-core'

import { Breather } from './breather.ts'

/**
 * What a session needs of a connection to receive: the raw parts of each message, in order, by
 * callback. The rest of the session knows no client, so another receiver can take this one's place.
 */
export interface ReceivePath {
  subscribe(subject: string, handlers: ReceiveHandlers): ReceiveSubscription
  /** Publishes an empty message. */
  answer(subject: string): void
}

export interface ReceiveHandlers {
  /** `headers` is the block with its status line; undefined without one. Parts are valid for good. */
  message(
    subject: Uint8Array,
    reply: Uint8Array | undefined,
    headers: Uint8Array | undefined,
    payload: Uint8Array,
  ): void
  /** The subscription is over: refused, or closed by another hand. */
  ended(error: KvError): void
}

export interface ReceiveSubscription {
  close(): void
}

/** The parts as `@nats-io/nats-core` 3 keeps them inside a message. */
interface MessageParts {
  readonly _msg?: { readonly subject?: unknown; readonly reply?: unknown; readonly hdr?: unknown }
  readonly _rdata?: unknown
}

const CLOSING_MS = 250

/** Receives through a stock client connection. */
export class ClientReceivePath implements ReceivePath {
  readonly #connection: NatsConnection

  constructor(connection: NatsConnection) {
    this.#connection = connection
  }

  subscribe(subject: string, handlers: ReceiveHandlers): ReceiveSubscription {
    let open = true
    const breather = new Breather(this.#connection)
    const subscription: Subscription = this.#connection.subscribe(subject, {
      callback: (error, message) => {
        if (!open) return
        if (error) handlers.ended(endOf(error))
        else {
          deliver(message, handlers)
          breather.took()
        }
      },
    })
    void subscription.closed.then(async (cause) => {
      // A closing connection ends its subscriptions first; it has more to say about why.
      await Promise.race([this.#connection.closed(), wait(CLOSING_MS, undefined, { ref: false })])
      if (open) handlers.ended(endOf(cause))
    })
    return {
      close: () => {
        open = false
        if (!subscription.isClosed()) subscription.unsubscribe()
      },
    }
  }

  answer(subject: string): void {
    if (!this.#connection.isClosed()) this.#connection.publish(subject)
  }
}

function endOf(cause: unknown): KvError {
  if (cause instanceof PermissionViolationError)
    return new KvError('PermissionDenied', `subscribing to ${cause.subject} is not allowed`, { cause })
  return new KvError('Unreachable', 'the subscription ended', { cause })
}

/**
 * The client decodes subject and reply lossily and its header object costs more than all else here,
 * so the bytes are taken where it keeps them. A client that keeps them elsewhere is read through its
 * public methods.
 */
export function deliver(message: Msg, handlers: ReceiveHandlers): void {
  const { _msg: argument, _rdata: data } = message as unknown as MessageParts
  if (
    argument?.subject instanceof Uint8Array &&
    data instanceof Uint8Array &&
    typeof argument.hdr === 'number'
  ) {
    const reply = argument.reply instanceof Uint8Array ? argument.reply : undefined
    if (argument.hdr > 0)
      handlers.message(argument.subject, reply, data.subarray(0, argument.hdr), data.subarray(argument.hdr))
    else handlers.message(argument.subject, reply, undefined, data)
    return
  }
  handlers.message(
    Buffer.from(message.subject),
    message.reply === undefined ? undefined : Buffer.from(message.reply),
    message.headers === undefined ? undefined : Buffer.from(headerText(message.headers)),
    message.data,
  )
}

function headerText(headers: MsgHdrs): string {
  let text = headers.code === 0 ? 'NATS/1.0\r\n' : `NATS/1.0 ${headers.code} ${headers.description}\r\n`
  for (const [name, values] of headers) for (const value of values) text += `${name}: ${value}\r\n`
  return `${text}\r\n`
}
