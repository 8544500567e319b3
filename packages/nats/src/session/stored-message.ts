import { KvError, type StoredMessage } from '@slip/kv-core'

const MS_DIGITS = 3

/**
 * The message of a `STREAM.MSG.GET` reply. A subject that is no key of the bucket stands as it is. KvError
 * `Unreachable` for a reply that is none.
 */
export function storedMessage(reply: unknown, subjectPrefix: string): StoredMessage {
  const { message } = (reply ?? {}) as { readonly message?: unknown }
  const { subject, seq, time } = (message ?? {}) as Readonly<Record<string, unknown>>
  const writtenAtMs = wholeMs(time)
  if (typeof subject !== 'string' || !isSequence(seq) || writtenAtMs === undefined)
    throw new KvError('Unreachable', 'the server answers a read of a message with something else')
  const key = subject.startsWith(subjectPrefix) ? subject.slice(subjectPrefix.length) : subject
  return { key, revision: BigInt(seq), writtenAtMs }
}

/**
 * A server's time (RFC 3339, UTC, up to nanoseconds) in whole Unix milliseconds, cut as a delivery's are;
 * how `Date` reads more than three digits is not specified. undefined for anything else.
 */
export function wholeMs(time: unknown): number | undefined {
  if (typeof time !== 'string') return undefined
  const [, second, fraction = ''] = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?Z$/.exec(time) ?? []
  if (second === undefined) return undefined
  const atMs = Date.parse(`${second}Z`)
  if (Number.isNaN(atMs)) return undefined
  return atMs + Number(fraction.slice(0, MS_DIGITS).padEnd(MS_DIGITS, '0'))
}

function isSequence(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0
}
