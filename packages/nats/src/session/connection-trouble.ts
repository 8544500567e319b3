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

interface Watched {
  readonly listeners: Set<Listener>
  /** Between the loss of a connection and the next one. */
  isDown: boolean
  /** Why the server ended the connection, when it said that it does not take the credentials any more. */
  refusal: KvError | undefined
}

const watchedOf = new WeakMap<NatsConnection, Watched>()

/**
 * Calls `listener` when the connection is lost, replaced, stale or closed: after any of these a
 * subscription may have missed messages. Returns the function that stops it. All sessions of a
 * connection share one reading of its events.
 */
export function onConnectionTrouble(connection: NatsConnection, listener: Listener): () => void {
  const { listeners } = watch(connection)
  listeners.add(listener)
  return () => void listeners.delete(listener)
}

/** Whether the connection was lost and there is no other yet: what is sent now the client throws away. */
export function isDown(connection: NatsConnection): boolean {
  return watch(connection).isDown
}

/** What the server said when it ended the connection, and there is no other yet. */
export function refusedWith(connection: NatsConnection): KvError | undefined {
  const { isDown, refusal } = watch(connection)
  return isDown ? refusal : undefined
}

/** What happened before it is called nobody is told: call it when the connection is new. */
export function watchForTrouble(connection: NatsConnection): void {
  watch(connection)
}

/** Resolves with the next connection, or when there will be none. Rejects with the signal's reason. */
export async function whenConnected(connection: NatsConnection, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  await new Promise<void>((resolve, reject) => {
    const onAbort = (): void => {
      stop()
      reject(signal.reason as Error)
    }
    const stop = onConnectionTrouble(connection, () => {
      if (watch(connection).isDown) return
      stop()
      signal.removeEventListener('abort', onAbort)
      resolve()
    })
    signal.addEventListener('abort', onAbort, { once: true })
  })
}

function watch(connection: NatsConnection): Watched {
  let watched = watchedOf.get(connection)
  if (watched === undefined) {
    watched = { listeners: new Set(), isDown: false, refusal: undefined }
    watchedOf.set(connection, watched)
    void readEvents(connection, watched)
  }
  return watched
}

async function readEvents(connection: NatsConnection, watched: Watched): Promise<void> {
  const tell = (error: KvError, trouble: Trouble = 'lost') => {
    for (const listener of Array.from(watched.listeners)) listener(error, trouble)
  }
  void connection.closed().then((cause) => {
    watched.isDown = false
    tell(closedError(cause, watched.refusal))
  })
  for await (const event of connection.status()) {
    switch (event.type) {
      case 'error':
        watched.refusal = refusalOf(event.error) ?? watched.refusal
        break
      case 'disconnect':
        watched.isDown = true
        tell(watched.refusal ?? new KvError('Unreachable', 'the connection to the server was lost'))
        break
      case 'staleConnection':
        // The client also says this when the server refused the credentials it had accepted.
        tell(watched.refusal ?? new KvError('Unreachable', 'the server does not answer pings'))
        break
      case 'forceReconnect':
        tell(new KvError('Unreachable', 'the connection is being replaced'))
        break
      case 'reconnect':
        watched.refusal = undefined
        watched.isDown = false
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
