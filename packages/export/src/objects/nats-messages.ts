import type { Consumer, ConsumerMessages } from '@nats-io/jetstream'
import { KvError, type WaitOptions } from '@slip/kv-core'
import { asking, asKvError, type NatsObjectBucket, type NatsObjectInfo } from './nats-object-bucket.ts'

export interface MessagesOptions extends WaitOptions {
  /** Only the newest of each subject. */
  readonly lastOnly?: boolean
  /** The first revision. */
  readonly from?: number
  /** How many there have to be. */
  readonly expected?: number
}

export interface BucketMessage {
  readonly subject: string
  readonly data: Uint8Array
  readonly timeMs: number
  /** Of the entry of an object. */
  readonly info: () => NatsObjectInfo
}

const WINDOW = 32
const DEFAULT_STALL_MS = 10_000
/** When nothing came for so long, the server is asked whether anything will. */
const QUIET_MS = 500
const NO_STREAM = 10_059

/**
 * The messages of a subject that are there now, in order, at most 32 ahead of the reader; none when there is no
 * bucket. What is written meanwhile may come too, and what is deleted meanwhile may not. KvError `Unreachable` when
 * there are not as many as expected, `Timeout` when none comes for `timeoutMs`.
 */
export async function* messagesOf(
  bucket: NatsObjectBucket,
  subject: string,
  { lastOnly = false, from, expected, signal, timeoutMs = DEFAULT_STALL_MS }: MessagesOptions,
): AsyncGenerator<BucketMessage, void, undefined> {
  const what = `reading ${subject}`
  const consumer = await open(bucket, subject, lastOnly, from)
  const pending = consumer === undefined ? 0 : (await asking(what, () => consumer.info(true))).num_pending
  if (expected !== undefined && pending !== expected)
    throw new KvError('Unreachable', `${what}: ${pending} of ${expected} chunks are there`)
  if (consumer === undefined) return
  let messages: ConsumerMessages | undefined
  try {
    if (pending === 0) return
    messages = await asking(what, () => consumer.consume({ max_messages: WINDOW }))
    const iterator = messages[Symbol.asyncIterator]()
    let last = 0
    for (let read = 0; read !== expected; read++) {
      const coming = inTime(iterator.next(), what, timeoutMs, signal)
      const next = await orThrough(coming, consumer, last)
      if (next === 'through' && expected === undefined) return
      if (next === 'through' || next.done === true) throw new KvError('Unreachable', `${what} ended early`)
      const { value } = next
      last = value.seq
      yield {
        subject: value.subject,
        data: value.data,
        timeMs: value.time.getTime(),
        info: () => value.json<NatsObjectInfo>(),
      }
      if (expected === undefined && value.info.pending === 0) return
    }
  } finally {
    void messages?.close().catch(() => undefined)
    void consumer.delete().catch(() => undefined)
  }
}

/**
 * `through` when nothing comes behind the sequence `last`: what was counted when the consumer was made may have been
 * replaced or deleted since, and nobody says so.
 */
async function orThrough<R>(coming: Promise<R>, consumer: Consumer, last: number): Promise<R | 'through'> {
  coming.catch(() => undefined)
  for (;;) {
    let timer: NodeJS.Timeout | undefined
    const quiet = new Promise<'quiet'>((resolve) => (timer = setTimeout(resolve, QUIET_MS, 'quiet')))
    const came = await Promise.race([coming, quiet]).finally(() => clearTimeout(timer))
    if (came !== 'quiet') return came
    if (await isThrough(consumer, last)) return 'through'
  }
}

/** Whether the server has sent everything, and everything has come. */
async function isThrough(consumer: Consumer, last: number): Promise<boolean> {
  try {
    const { num_pending: pending, delivered } = await consumer.info()
    return pending === 0 && (delivered.consumer_seq === 0 || delivered.stream_seq <= last)
  } catch {
    return false
  }
}

async function open(
  bucket: NatsObjectBucket,
  subject: string,
  lastOnly: boolean,
  from: number | undefined,
): Promise<Consumer | undefined> {
  try {
    return await bucket.client.consumers.get(bucket.stream, {
      filter_subjects: subject,
      deliver_policy: lastOnly ? 'last_per_subject' : from === undefined ? 'all' : 'by_start_sequence',
      ...(from === undefined ? {} : { opt_start_seq: from }),
    })
  } catch (error) {
    if ((error as { readonly code?: unknown }).code === NO_STREAM) return undefined
    throw asKvError(error, `reading ${subject}`)
  }
}

/** The same promise, but for the signal's reason, and KvError `Timeout`. */
export async function inTime<R>(
  promise: Promise<R>,
  what: string,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<R> {
  promise.catch(() => undefined)
  return new Promise<R>((resolve, reject) => {
    const onAbort = (): void => reject(signal?.reason as Error)
    const timer = setTimeout(
      () => reject(new KvError('Timeout', `${what}: nothing was heard for ${timeoutMs} ms`)),
      timeoutMs,
    )
    signal?.addEventListener('abort', onAbort, { once: true })
    if (signal?.aborted === true) onAbort()
    promise
      .then(resolve, (error: unknown) => reject(asKvError(error, what) as Error))
      .finally(() => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', onAbort)
      })
  })
}
