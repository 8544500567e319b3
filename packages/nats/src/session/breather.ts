import type { NatsConnection } from '@nats-io/nats-core'

/** How long one turn of the event loop may go on receiving. */
const BUDGET_MS = 3
const CLOCK_EVERY = 16

interface Pausable {
  pause(): unknown
  resume(): unknown
}

/**
 * Lets others run while much is received. Node reads up to 2 MiB from a socket in one turn of the
 * event loop, and the client parses each piece at once: 40 ms of it. So the socket is paused for the
 * rest of a turn that took long. A client that keeps its socket elsewhere is left alone.
 */
export class Breather {
  readonly #connection: NatsConnection
  #turnFrom: number | undefined
  #messages = 0

  constructor(connection: NatsConnection) {
    this.#connection = connection
  }

  /** To be called after each message. */
  took(): void {
    if (this.#turnFrom === undefined) {
      this.#turnFrom = performance.now()
      this.#messages = 0
      setImmediate(() => (this.#turnFrom = undefined))
      return
    }
    if (++this.#messages % CLOCK_EVERY !== 0 || performance.now() - this.#turnFrom < BUDGET_MS) return
    this.#turnFrom = Number.POSITIVE_INFINITY
    const socket = socketOf(this.#connection)
    socket?.pause()
    setImmediate(() => socket?.resume())
  }
}

/** As `@nats-io/transport-node` 3 keeps it. */
function socketOf(connection: NatsConnection): Pausable | undefined {
  const { protocol } = connection as unknown as { protocol?: { transport?: { socket?: Partial<Pausable> } } }
  const socket = protocol?.transport?.socket
  return typeof socket?.pause === 'function' && typeof socket.resume === 'function'
    ? (socket as Pausable)
    : undefined
}
