import type { Msg } from '@nats-io/nats-core'
import type { KvEntry, KvPutUpdate, WaitOptions } from '@slip/kv-core'

import { explained } from '../bucket/missing-bucket.ts'
import type { BucketContext } from '../bucket-context.ts'
import { NO_MESSAGE_FOUND, refusal, refusalCode } from '../errors.ts'
import type { JetStreamApi } from '../jetstream-api.ts'
import { DeliveryDecoder } from '../session/delivery.ts'
import { emptyPosition } from '../session/reply-subject.ts'

/** The newest message of a key, whatever it is. */
export interface StoredMessage {
  readonly revision: number
  readonly timestampMs: number
  /** With its status line; undefined when there is none. */
  readonly headers: Uint8Array | undefined
  readonly value: Uint8Array
}

/** What a bucket's settings say of how its messages are read. */
export interface ReadRules {
  readonly maxAgeMs: number | undefined
  readonly messageTtls: boolean
}

interface StoredMessageReply {
  readonly message: {
    readonly seq: number
    readonly time: string
    readonly hdrs?: string
    readonly data?: string
  }
}

/** The newest message of a key, from the stream's leader. */
export async function readAtLeader(
  context: BucketContext,
  key: string,
  options: WaitOptions | undefined,
): Promise<StoredMessage | undefined> {
  let reply: StoredMessageReply
  try {
    const request = { last_by_subj: `${context.subjectPrefix}${key}` }
    reply = (await context.api(
      `STREAM.MSG.GET.${context.stream}`,
      request,
      options ?? {},
    )) as StoredMessageReply
  } catch (error) {
    if (refusalCode(error) === NO_MESSAGE_FOUND) return undefined
    throw error
  }
  const { seq, time, hdrs, data } = reply.message
  return {
    revision: seq,
    timestampMs: Date.parse(time),
    headers: hdrs === undefined ? undefined : bytesOf(Buffer.from(hdrs, 'base64')),
    value: bytesOf(Buffer.from(data ?? '', 'base64')),
  }
}

const NOT_FOUND = 404

/** The newest message of a key, from any replica of a stream with `allow_direct`. */
export async function readDirect(
  context: BucketContext,
  api: JetStreamApi,
  key: string,
  options: WaitOptions | undefined,
): Promise<StoredMessage | undefined> {
  const subject = `DIRECT.GET.${context.stream}.${context.subjectPrefix}${key}`
  const message = await api.message(subject, '', options ?? {}).catch(async (error: unknown) => {
    throw await explained(context, error)
  })
  const status = message.headers?.code ?? 0
  if (status === NOT_FOUND) return undefined
  if (status >= 300) throw refusal({ code: status, description: message.headers!.description }, `get ${key}`)
  return directMessage(message)
}

function directMessage(message: Msg): StoredMessage {
  const headers = message.headers!
  return {
    revision: Number(headers.get('Nats-Sequence')),
    timestampMs: Date.parse(headers.get('Nats-Time-Stamp')),
    // oxlint-disable-next-line no-base-to-string -- the client's headers print themselves as on the wire
    headers: Buffer.from(headers.toString()),
    value: bytesOf(message.data),
  }
}

/** The entry a message is; undefined when it is a marker of a removal. */
export function entryOf(
  context: BucketContext,
  rules: ReadRules,
  key: string,
  message: StoredMessage,
): KvEntry | undefined {
  const { subjectPrefix } = context
  const decoder = new DeliveryDecoder({ ...rules, subjectPrefix, prefixes: undefined, emptyValues: 'keep' })
  const position = { ...emptyPosition(), streamSequence: message.revision, timestampMs: message.timestampMs }
  const subject = Buffer.from(`${subjectPrefix}${key}`)
  const delivery = decoder.decode(subject, message.headers, message.value, position)
  if (typeof delivery === 'string' || delivery.operation !== 'put') return undefined
  return entryOfUpdate(delivery)
}

/** A put without saying that it is one. */
export function entryOfUpdate({ key, value, version, expiresAtMs }: KvPutUpdate): KvEntry {
  return expiresAtMs === undefined ? { key, value, version } : { key, value, version, expiresAtMs }
}

/** A copy, as no view of a pooled Buffer should leave. */
function bytesOf(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes)
}
