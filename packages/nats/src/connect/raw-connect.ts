import type { NatsConnection as Client } from '@nats-io/nats-core'
import { connect } from '@nats-io/transport-node'
import { KvError, type WaitOptions } from '@slip/kv-core'

import { orAbort } from '../abort.ts'
import { asKvError } from '../errors.ts'
import { watchForTrouble } from '../session/connection-trouble.ts'
import { Identification } from './authenticator.ts'
import { resolveConfig, type NatsConnectionConfig, type ResolvedConfig } from './config.ts'
import { withServerIdentity } from './server-identity.ts'

const RECONNECT_WAIT_MS = 100
const RECONNECT_JITTER_MS = 150
const PING_INTERVAL_MS = 5_000
const MAX_PINGS_OUT = 2

/**
 * A raw `@nats-io` client with the same ways of authenticating: it reconnects for ever, 100 to 250 ms
 * apart, and notices a silent server after 10 to 15 s. KvError `Unreachable` or `Unauthorized` when the
 * first connect fails or takes longer than `timeoutMs`; `TypeError` for a wrong configuration.
 */
export async function natsConnect(
  config: NatsConnectionConfig = {},
  options: WaitOptions = {},
): Promise<Client> {
  return await rawConnect(await resolveConfig(config), options)
}

export async function rawConnect(config: ResolvedConfig, options: WaitOptions): Promise<Client> {
  options.signal?.throwIfAborted()
  const timeoutMs = options.timeoutMs ?? config.timeoutMs
  const identification = await orAbort(Identification.of(config.identity), options.signal)
  const connecting = connect({
    servers: [...config.servers],
    name: 'slip',
    authenticator: identification.authenticator,
    maxReconnectAttempts: -1,
    reconnectTimeWait: RECONNECT_WAIT_MS,
    reconnectJitter: RECONNECT_JITTER_MS,
    reconnectJitterTLS: RECONNECT_JITTER_MS,
    pingInterval: PING_INTERVAL_MS,
    maxPingOut: MAX_PINGS_OUT,
    timeout: timeoutMs,
    inboxPrefix: config.inboxPrefix,
    noAsyncTraces: true,
    ignoreAuthErrorAbort: true,
    ...(config.tls === undefined ? {} : { tls: withServerIdentity(config.tls, config.servers) }),
  })
  const client = await firstOf(connecting, config, timeoutMs, options.signal)
  watchForTrouble(client)
  void refreshOnDisconnect(client, identification)
  return client
}

/** A connection that comes too late is closed. */
async function firstOf(
  connecting: Promise<Client>,
  { servers }: ResolvedConfig,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<Client> {
  const what = `no connection to ${servers.join(', ')}`
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    const error = new KvError('Unreachable', `${what} within ${timeoutMs} ms`)
    timer = setTimeout(() => reject(error), timeoutMs)
  })
  try {
    return await orAbort(Promise.race([connecting, late]), signal)
  } catch (error) {
    void connecting.then((client) => client.close()).catch(() => undefined)
    if (signal?.aborted === true && error === signal.reason) throw error
    const failure = asKvError(error, what)
    throw failure.code === 'Timeout'
      ? new KvError('Unreachable', failure.message, { cause: failure.cause })
      : failure
  } finally {
    clearTimeout(timer)
  }
}

async function refreshOnDisconnect(client: Client, identification: Identification): Promise<void> {
  for await (const { type } of client.status()) if (type === 'disconnect') identification.refresh()
}
