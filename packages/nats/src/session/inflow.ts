import { KvError } from '@slip/kv-core'

import type { DeliveryDecoder } from './delivery.ts'
import type { Intake } from './intake.ts'
import { readHeaders, type MessageHeaders } from './message-headers.ts'
import type { Fault, Readiness, StreamEnd } from './readiness.ts'
import { emptyPosition, readReplySubject } from './reply-subject.ts'

const FLOW_CONTROL_PREFIX = Buffer.from('$JS.FC.')
const CONTROL_STATUS = 100
const FIRST_ERROR_STATUS = 400

export interface InflowParts {
  readonly decoder: DeliveryDecoder
  readonly readiness: Readiness
  readonly intake: Intake
  /** The consumer gave a sign of life. */
  readonly heard: () => void
  readonly undecodable: () => void
  /** The consumer waits for nothing: another one has to take its place. */
  readonly stuck: () => void
  /** What stands behind a sequence; undefined when that cannot be had now. What it throws ends the session. */
  readonly findEnd: (after: number) => Promise<StreamEnd | undefined>
}

/** What each message of a consumer does: an update for the reader, a heartbeat, a flow-control request. */
export class Inflow {
  readonly #parts: InflowParts
  readonly #position = emptyPosition()
  #announced = false
  #unseen = false
  #closed = false

  constructor(parts: InflowParts) {
    this.#parts = parts
    this.#announce()
  }

  /** Messages came that the reader has not seen anything of; reading it clears it. */
  takeUnseen(): boolean {
    const unseen = this.#unseen
    this.#unseen = false
    return unseen
  }

  /** Nothing that comes later is taken. */
  close(): void {
    this.#closed = true
  }

  message(
    subject: Uint8Array,
    reply: Uint8Array | undefined,
    headers: Uint8Array | undefined,
    payload: Uint8Array,
  ): void {
    if (this.#closed) return
    if (reply !== undefined && readReplySubject(reply, this.#position))
      this.#delivery(subject, reply, headers, payload)
    else if (headers !== undefined) this.#control(reply, readHeaders(headers))
  }

  #delivery(
    subject: Uint8Array,
    reply: Uint8Array,
    headers: Uint8Array | undefined,
    payload: Uint8Array,
  ): void {
    const { decoder, readiness, intake, heard, undecodable } = this.#parts
    const { streamSequence, consumerSequence, pending } = this.#position
    const fault = readiness.delivered(streamSequence, consumerSequence, pending, subject)
    if (fault !== undefined) {
      intake.fail(faultError(fault))
      return
    }
    heard()
    const delivery = decoder.decode(subject, headers, payload, this.#position)
    if (typeof delivery === 'string') {
      if (delivery === 'undecodable') undecodable()
      this.#unseen = true
      intake.received(undefined, 0, streamSequence, readiness.atEnd)
    } else {
      const bytes = subject.length + reply.length + (headers?.length ?? 0) + payload.length
      intake.received(delivery, bytes, streamSequence, readiness.atEnd)
    }
    this.#announce()
  }

  #control(reply: Uint8Array | undefined, headers: MessageHeaders): void {
    const { readiness, intake, heard, stuck } = this.#parts
    if (headers.status >= FIRST_ERROR_STATUS) {
      const said = `${headers.status} ${headers.description}`
      intake.fail(new KvError('Unreachable', `the server ended the consumer: ${said}`))
      return
    }
    if (headers.status !== CONTROL_STATUS) return
    if (reply !== undefined && startsWith(reply, FLOW_CONTROL_PREFIX)) {
      heard()
      intake.owe(Buffer.from(reply).toString('latin1'))
      return
    }
    const lastConsumer = Number(headers.fields.get('nats-last-consumer'))
    const lastStream = Number(headers.fields.get('nats-last-stream'))
    if (!Number.isSafeInteger(lastConsumer) || !Number.isSafeInteger(lastStream)) return
    const stalled = headers.fields.get('nats-consumer-stalled')
    const fault = readiness.heartbeat(lastConsumer, lastStream, stalled !== undefined)
    if (fault !== undefined) {
      intake.fail(faultError(fault))
      return
    }
    heard()
    if (stalled !== undefined) intake.owe(stalled)
    this.#announce()
    intake.pulse(readiness.frontier, readiness.atEnd)
    if (readiness.stuck) stuck()
  }

  #announce(): void {
    const { readiness, intake } = this.#parts
    if (readiness.due) void this.#askForEnd()
    if (this.#announced || !readiness.caughtUp) return
    this.#announced = true
    intake.caughtUp(readiness.frontier, readiness.atEnd)
  }

  async #askForEnd(): Promise<void> {
    const { readiness, intake, findEnd } = this.#parts
    readiness.asked()
    try {
      const end = await findEnd(readiness.frontier)
      if (this.#closed) return
      if (end === undefined) readiness.unanswered()
      else readiness.answered(end)
      this.#announce()
    } catch (error) {
      if (!this.#closed) intake.fail(error)
    }
  }
}

function startsWith(bytes: Uint8Array, prefix: Uint8Array): boolean {
  return prefix.every((byte, i) => bytes[i] === byte)
}

function faultError(fault: Fault): KvError {
  if (fault.kind === 'order')
    return new KvError(
      'BucketRolledBack',
      `revision ${fault.got} was delivered after ${fault.frontier}: this is another history`,
    )
  const seen =
    fault.kind === 'gap'
      ? `number ${fault.got} came where ${fault.expected} was due`
      : `${fault.sent} sent, ${fault.received} received`
  return new KvError('Unreachable', `messages were lost: ${seen}`)
}
