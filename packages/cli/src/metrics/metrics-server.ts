import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { RoundsStatus } from '@slip/export'
import type { FollowStatus } from '@slip/kv-core'
import { UsageError } from '../output/usage-error.ts'
import { CONTENT_TYPE, metricsText } from './exposition.ts'
import { followerMetrics, type FollowerLabels } from './follower-metrics.ts'

const MOST_CONNECTIONS = 64
const REQUEST_TIMEOUT_MS = 10_000

/** `HOST:PORT`, where an IPv6 address stands in brackets; port 0 is any that is free. */
const ADDRESS = /^(?:\[([^\]]+)\]|([^:\s]+)):(\d{1,5})$/

export interface ListenAddress {
  readonly host: string
  readonly port: number
}

/** UsageError for what is no HOST:PORT. */
export function listenAddress(text: string): ListenAddress {
  const [, six, host = six, port = ''] = ADDRESS.exec(text) ?? []
  if (host === undefined || Number(port) > 65_535)
    throw new UsageError(`--metrics '${text}' is not HOST:PORT, such as 127.0.0.1:9464`, 'follow')
  return { host, port: Number(port) }
}

/** What the follower can be asked at any moment. */
export interface Watched {
  readonly status: FollowStatus
  readonly rounds: RoundsStatus | undefined
}

/** Answers `GET /metrics` with the follower's metrics, and `GET /healthz` with 200 while it is live and 503 while not. */
export class MetricsServer implements AsyncDisposable {
  readonly url: string
  readonly #server: Server

  private constructor(server: Server, url: string) {
    this.#server = server
    this.url = url
  }

  /** UsageError where the address cannot be listened on. */
  static async listen(
    { host, port }: ListenAddress,
    labels: FollowerLabels,
    watched: Watched,
  ): Promise<MetricsServer> {
    const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS }, (request, response) =>
      answer(request, response, labels, watched),
    )
    server.maxConnections = MOST_CONNECTIONS
    try {
      server.listen(port, host)
      await once(server, 'listening')
    } catch (error) {
      const { code = 'error' } = error as NodeJS.ErrnoException
      throw new UsageError(`--metrics cannot listen on ${host}:${port} (${code})`, 'follow')
    }
    // Who follows ends the process, not who looks.
    server.unref()
    const { address: found, family, port: taken } = server.address() as AddressInfo
    return new MetricsServer(server, `http://${family === 'IPv6' ? `[${found}]` : found}:${taken}/metrics`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close()
    this.#server.closeAllConnections()
    await once(this.#server, 'close')
  }
}

function answer(
  { method, url }: IncomingMessage,
  response: ServerResponse,
  labels: FollowerLabels,
  watched: Watched,
): void {
  const path = url?.split('?')[0]
  if (method !== 'GET' && method !== 'HEAD') response.writeHead(405, { allow: 'GET, HEAD' }).end()
  else if (path === '/metrics')
    response
      .writeHead(200, { 'content-type': CONTENT_TYPE, 'cache-control': 'no-store' })
      .end(metricsText(followerMetrics(labels, watched.status, watched.rounds)))
  else if (path === '/healthz') {
    const { state, reason } = watched.status
    response
      .writeHead(state === 'live' ? 200 : 503, { 'content-type': 'application/json' })
      .end(`${JSON.stringify({ state, reason })}\n`)
  } else response.writeHead(404).end()
}
