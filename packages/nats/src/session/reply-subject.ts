/** Where one delivery stands, as its `$JS.ACK` reply subject says. One object is reused for all messages. */
export interface DeliveryPosition {
  streamSequence: number
  /** The n-th message this consumer sent, from 1. */
  consumerSequence: number
  /** The server's time of the message, Unix milliseconds. */
  timestampMs: number
  /** Messages of the consumer still to come after this one, as the server counts. */
  pending: number
}

const DOT = 0x2e
const ZERO = 0x30
const ACK_PREFIX = Buffer.from('$JS.ACK.')
const SHORT_FORM_TOKENS = 9
const LONG_FORM_TOKENS = 11
const NANOSECOND_DIGITS_BELOW_MS = 6

/** A position to read into. */
export function emptyPosition(): DeliveryPosition {
  return { streamSequence: 0, consumerSequence: 0, timestampMs: 0, pending: 0 }
}

/**
 * Reads a delivery's reply subject into `position`. False when it is not one.
 *
 * `$JS.ACK.<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<time ns>.<pending>` has 9
 * tokens; the newer form has a domain and an account hash after `ACK`, and may have tokens after the
 * last.
 */
export function readReplySubject(reply: Uint8Array, position: DeliveryPosition): boolean {
  for (let i = 0; i < ACK_PREFIX.length; i++) if (reply[i] !== ACK_PREFIX[i]) return false
  let tokens = 1
  for (const byte of reply) if (byte === DOT) tokens++
  if (tokens !== SHORT_FORM_TOKENS && tokens < LONG_FORM_TOKENS) return false
  let skip = tokens === SHORT_FORM_TOKENS ? 3 : 5
  let at = ACK_PREFIX.length
  for (; skip > 0; skip--) at = reply.indexOf(DOT, at) + 1
  const streamEnd = tokenEnd(reply, at)
  const consumerEnd = tokenEnd(reply, streamEnd + 1)
  const timeEnd = tokenEnd(reply, consumerEnd + 1)
  const pendingEnd = tokenEnd(reply, timeEnd + 1)
  position.streamSequence = decimal(reply, at, streamEnd)
  position.consumerSequence = decimal(reply, streamEnd + 1, consumerEnd)
  position.timestampMs = decimal(reply, consumerEnd + 1, timeEnd - NANOSECOND_DIGITS_BELOW_MS)
  position.pending = decimal(reply, timeEnd + 1, pendingEnd)
  return (
    position.streamSequence > 0 &&
    position.consumerSequence > 0 &&
    position.timestampMs >= 0 &&
    position.pending >= 0
  )
}

function tokenEnd(bytes: Uint8Array, from: number): number {
  let at = from
  while (at < bytes.length && bytes[at] !== DOT) at++
  return at
}

/** -1 for anything but digits. Exact up to 2^53, which a stream does not reach. */
function decimal(bytes: Uint8Array, from: number, to: number): number {
  if (to <= from) return -1
  let value = 0
  for (let i = from; i < to; i++) {
    const digit = bytes[i]! - ZERO
    if (digit < 0 || digit > 9) return -1
    value = value * 10 + digit
  }
  return value
}
