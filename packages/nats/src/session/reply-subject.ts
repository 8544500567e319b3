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
/** Which token, from 0, is the stream sequence; the others follow it. */
const SHORT_FORM_SEQUENCE = 5
const LONG_FORM_SEQUENCE = 7
const NANOSECOND_DIGITS_BELOW_MS = 6

/** `dots[n]` is where the n-th token ends its predecessor; kept between calls to save an array each. */
const dots = new Int32Array(16)

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
  for (let i = 0; i < reply.length; i++) if (reply[i] === DOT && tokens < dots.length) dots[tokens++] = i
  if (tokens !== SHORT_FORM_TOKENS && tokens < LONG_FORM_TOKENS) return false
  dots[tokens] = reply.length
  const first = tokens === SHORT_FORM_TOKENS ? SHORT_FORM_SEQUENCE : LONG_FORM_SEQUENCE
  position.streamSequence = decimal(reply, dots[first]! + 1, dots[first + 1]!)
  position.consumerSequence = decimal(reply, dots[first + 1]! + 1, dots[first + 2]!)
  position.timestampMs = decimal(reply, dots[first + 2]! + 1, dots[first + 3]! - NANOSECOND_DIGITS_BELOW_MS)
  position.pending = decimal(reply, dots[first + 3]! + 1, dots[first + 4]!)
  return (
    position.streamSequence > 0 &&
    position.consumerSequence > 0 &&
    position.timestampMs >= 0 &&
    position.pending >= 0
  )
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
