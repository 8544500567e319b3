import { setTimeout as wait } from 'node:timers/promises'
import {
  connect,
  credsAuthenticator,
  headers as natsHeaders,
  type NatsConnection,
} from '@nats-io/transport-node'

const REQUEST_TIMEOUT_MS = 2_000
const READY_WITHIN_MS = 60_000

/** The server answered a request of the JetStream API with an error. */
export class JetStreamRefusal extends Error {
  override readonly name: string = 'JetStreamRefusal'
  /** The server's `err_code`. */
  readonly code: number

  constructor(subject: string, code: number, description: string) {
    super(`${subject}: ${description} (${code})`)
    this.code = code
  }
}

/** Who a client is, where the server asks. */
export interface Login {
  readonly user?: string
  readonly pass?: string
  /** The content of a `.creds` file. */
  readonly creds?: string
}

interface ErrorReply {
  readonly error?: { readonly err_code?: number; readonly description?: string }
}

/** JetStream as anybody with a client can use it: nothing of @slip takes part, so its word is independent. */
export class RawJetStream implements AsyncDisposable {
  readonly connection: NatsConnection

  private constructor(connection: NatsConnection) {
    this.connection = connection
  }

  /** Several servers are those of one cluster. */
  static async connect(
    servers: string | readonly string[],
    { creds, ...login }: Login = {},
  ): Promise<RawJetStream> {
    const connection = await connect({
      servers: [servers].flat(),
      ...login,
      ...(creds === undefined ? {} : { authenticator: credsAuthenticator(new TextEncoder().encode(creds)) }),
      maxReconnectAttempts: -1,
      reconnectTimeWait: 50,
      noAsyncTraces: true,
    })
    return new RawJetStream(connection)
  }

  /** One request to `$JS.API`; JetStreamRefusal when the server says no. */
  async api(subject: string, body?: object): Promise<unknown> {
    const payload = body === undefined ? '' : JSON.stringify(body)
    const reply = await this.connection.request(`$JS.API.${subject}`, payload, {
      timeout: REQUEST_TIMEOUT_MS,
    })
    return checked(subject, reply.json())
  }

  /** Publishes and gives the sequence the stream stored it under. */
  async publish(
    subject: string,
    payload: string,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<bigint> {
    const given = natsHeaders()
    for (const [name, value] of Object.entries(headers)) given.set(name, value)
    const reply = await this.connection.request(subject, payload, {
      timeout: REQUEST_TIMEOUT_MS,
      ...(Object.keys(headers).length === 0 ? {} : { headers: given }),
    })
    return BigInt((checked(subject, reply.json()) as { readonly seq: number }).seq)
  }

  /** Resolves when the server takes JetStream requests; after an election or a restart that can be later. */
  async ready(subject = 'INFO'): Promise<void> {
    const until = performance.now() + READY_WITHIN_MS
    for (;;) {
      try {
        await this.api(subject)
        return
      } catch (error) {
        if (performance.now() > until) throw error
        await wait(100)
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.connection.close()
  }
}

function checked(subject: string, reply: unknown): unknown {
  const { error } = reply as ErrorReply
  if (error === undefined) return reply
  throw new JetStreamRefusal(subject, error.err_code ?? 0, error.description ?? 'no description')
}
