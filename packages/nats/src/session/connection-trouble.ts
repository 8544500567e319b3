import { KvError } from '@slip/kv-core'
import {
  AuthorizationError,
  PermissionViolationError,
  UserAuthenticationExpiredError,
  type NatsConnection,
} from '@nats-io/nats-core'

/** `replaced`: a new connection is there, and what was sent on it before anybody was told goes on. */
export type Trouble = 'lost' | 'replaced'

type Listener = (error: KvError, trouble: Trouble) => void

const listenersOf = new WeakMap<NatsConnection, Set<Listener>>()

/**
 * Calls `listener` when the connection is lost, replaced, stale or closed: after any of these a
 * subscription may have missed messages. Returns the function that stops it. All sessions of a
 * connection share one reading of its events.
 */
export function onConnectionTrouble(connection: NatsConnection, listener: Listener): () => void {
  let listeners = listenersOf.get(connection)
  if (listeners === undefined) {
    listeners = new Set()
    listenersOf.set(connection, listeners)
    void readEvents(connection, listeners)
  }
  const registered = listeners
  registered.add(listener)
  return () => void registered.delete(listener)
}

async function readEvents(connection: NatsConnection, listeners: Set<Listener>): Promise<void> {
  let refusal: KvError | undefined
  const tell = (error: KvError, trouble: Trouble = 'lost') => {
    for (const listener of Array.from(listeners)) listener(error, trouble)
  }
  void connection.closed().then((cause) => tell(closedError(cause, refusal)))
  for await (const event of connection.status()) {
    switch (event.type) {
      case 'error':
        refusal = refusalOf(event.error) ?? refusal
        break
      case 'disconnect':
        tell(refusal ?? new KvError('Unreachable', 'the connection to the server was lost'))
        break
      case 'staleConnection':
        // The client also says this when the server refused the credentials it had accepted.
        tell(refusal ?? new KvError('Unreachable', 'the server does not answer pings'))
        break
      case 'forceReconnect':
        tell(new KvError('Unreachable', 'the connection is being replaced'))
        break
      case 'reconnect':
        refusal = undefined
        tell(new KvError('Unreachable', 'the connection was replaced'), 'replaced')
        break
      default:
        break
    }
  }
}

function refusalOf(error: unknown): KvError | undefined {
  if (error instanceof PermissionViolationError) return undefined
  if (error instanceof AuthorizationError || error instanceof UserAuthenticationExpiredError)
    return new KvError('Unauthorized', 'the server ended the connection: the credentials are not accepted')
  return undefined
}

function closedError(cause: unknown, refusal: KvError | undefined): KvError {
  if (refusal !== undefined) return refusal
  return cause instanceof Error
    ? (refusalOf(cause) ?? new KvError('Unreachable', 'the connection was given up'))
    : new KvError('Closed', 'the connection was closed')
}
