import { jetstreamManager, type JetStreamManager } from '@nats-io/jetstream'
import { Kvm, type KV } from '@nats-io/kv'
import { connect } from '@nats-io/transport-node'
import { type ConnectionOptions, type NatsConnection } from '@nats-io/nats-core'
import { KvError, type KvUpdate, type WatchBatch, type WatchOptions, type WatchScope } from '@slip/kv-core'

import { JetStreamApi } from '../src/jetstream-api.ts'
import { createNatsWatcher, type NatsWatcher } from '../src/session/watcher.ts'
import type { ReceivePath } from '../src/session/receive-path.ts'
import type { BucketContext } from '../src/bucket-context.ts'
import { startNatsServer, type NatsServer } from '@slip/nats-server'

const encoder = new TextEncoder()
const LONGEST_SLICE_MS = 200

/** A server, a bucket on it, and two connections: one that watches and one that writes. */
export class World implements AsyncDisposable {
  readonly server: NatsServer
  readonly reading: NatsConnection
  readonly writing: NatsConnection
  readonly manager: JetStreamManager
  readonly readers: Reader[] = []
  bucket: KV
  inboxPrefix = '_INBOX'

  private constructor(parts: Pick<World, 'server' | 'reading' | 'writing' | 'manager' | 'bucket'>) {
    this.server = parts.server
    this.reading = parts.reading
    this.writing = parts.writing
    this.manager = parts.manager
    this.bucket = parts.bucket
  }

  static async create(version: string, config: BucketConfig = {}, access?: Access): Promise<World> {
    const server = await startNatsServer({
      version,
      ...(access === undefined ? {} : { config: access.config }),
    })
    const options = { servers: server.url, maxReconnectAttempts: -1, reconnectTimeWait: 100, timeout: 2_000 }
    const reading = await connect({ ...options, ...access?.reading })
    const writing = await connect({ ...options, ...access?.writing })
    const manager = await jetstreamManager(writing)
    const bucket = await new Kvm(writing).create('b', { history: 1, ...config })
    return new World({ server, reading, writing, manager, bucket })
  }

  watcher(path?: ReceivePath): NatsWatcher {
    return createNatsWatcher(contextOf(this.reading, 'b', this.inboxPrefix), path)
  }

  read(
    scope: WatchScope = 'all',
    options: Partial<WatchOptions> = {},
    watcher: NatsWatcher = this.watcher(),
  ): Reader {
    const reader = new Reader(watcher, scope, options)
    this.readers.push(reader)
    return reader
  }

  /** A message on any subject of the bucket, acknowledged by the stream. */
  async publish(
    key: string | Uint8Array,
    value: string | Uint8Array = '',
    headers: Record<string, string> = {},
  ): Promise<number> {
    return await rawPublish(
      this.writing,
      Buffer.concat([Buffer.from('$KV.b.'), Buffer.from(key as string)]),
      value,
      headers,
    )
  }

  /** Puts of distinct or repeated keys, many in flight; resolves when the stream holds them all. */
  async load(keys: Iterable<string>, value: Uint8Array | string): Promise<void> {
    const bytes = typeof value === 'string' ? encoder.encode(value) : value
    let flight: Promise<unknown>[] = []
    for (const key of keys) {
      flight.push(this.writing.request(`$KV.b.${key}`, bytes, { timeout: 20_000 }))
      if (flight.length === 1_000) {
        await Promise.all(flight)
        flight = []
      }
    }
    await Promise.all(flight)
  }

  async deleteConsumers(): Promise<number> {
    let count = 0
    for await (const { name } of this.manager.consumers.list('KV_b')) {
      await this.manager.consumers.delete('KV_b', name)
      count++
    }
    return count
  }

  /** Both connections are back after a restart of the server. */
  async reconnected(): Promise<void> {
    for (const connection of [this.reading, this.writing])
      for (;;) {
        const back = await connection.request('$JS.API.STREAM.INFO.KV_b', '', { timeout: 500 }).then(
          () => true,
          () => sleep(50),
        )
        if (back === true) break
      }
  }

  async consumerCount(): Promise<number> {
    return (await this.manager.streams.info('KV_b')).state.consumer_count
  }

  async lastSequence(): Promise<number> {
    return (await this.manager.streams.info('KV_b')).state.last_seq
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const reader of this.readers) await reader.stop()
    await this.reading.close()
    await this.writing.close()
    this.server.thaw()
    await this.server[Symbol.asyncDispose]()
  }
}

/** A server's configuration with users, and who reads and writes. */
export interface Access {
  readonly config: string
  readonly reading: ConnectionOptions
  readonly writing: ConnectionOptions
}

export type BucketConfig = NonNullable<Parameters<Kvm['create']>[1]>

/** Reads one session in the background and keeps what it gave. */
export class Reader {
  readonly batches: { readonly batch: WatchBatch; readonly at: number }[] = []
  /** What the session threw; undefined while it runs. */
  ended: { readonly error: unknown; readonly at: number } | undefined
  readonly #abort = new AbortController()
  readonly #done: Promise<void>
  /** Awaited between two batches. */
  pause: (batch: WatchBatch) => Promise<void> | void = () => undefined

  constructor(watcher: NatsWatcher, scope: WatchScope, options: Partial<WatchOptions>) {
    this.#done = this.#run(watcher.watch(scope, { signal: this.#abort.signal, ...options }))
  }

  async #run(batches: AsyncIterable<WatchBatch>): Promise<void> {
    try {
      for await (const batch of batches) {
        this.batches.push({ batch, at: performance.now() })
        await this.pause(batch)
      }
      this.ended = { error: new Error('the session ended without an error'), at: performance.now() }
    } catch (error) {
      this.ended = { error, at: performance.now() }
    }
  }

  get updates(): KvUpdate[] {
    return this.batches.flatMap(({ batch }) => batch.updates)
  }

  get keys(): string[] {
    return this.updates.map((update) => update.key)
  }

  /** The state after all updates so far: value texts by key. */
  get state(): Map<string, string> {
    return stateOf(this.updates)
  }

  get bookmark(): bigint {
    return this.batches.reduce(
      (max, { batch }) => (batch.bookmark && batch.bookmark.revision! > max ? batch.bookmark.revision! : max),
      0n,
    )
  }

  get caughtUp(): boolean {
    return this.batches.some(({ batch }) => batch.caughtUp)
  }

  async until(what: string, holds: () => boolean, timeoutMs = 10_000): Promise<void> {
    let waitedMs = 0
    let last = performance.now()
    while (!holds()) {
      if (this.ended !== undefined)
        throw new Error(`the session ended before ${what}`, { cause: this.ended.error })
      // A machine that stood still for a while has what it waits for still unread.
      const now = performance.now()
      waitedMs += Math.min(now - last, LONGEST_SLICE_MS)
      last = now
      if (waitedMs > timeoutMs) throw new Error(`not ${what} within ${timeoutMs} ms`)
      await sleep(5)
    }
  }

  async untilCaughtUp(timeoutMs?: number): Promise<this> {
    await this.until('caught up', () => this.caughtUp, timeoutMs)
    return this
  }

  /** Waits for the session's end and gives its error and the moment. */
  async end(
    timeoutMs = 10_000,
  ): Promise<{ readonly error: unknown; readonly code: string | undefined; readonly at: number }> {
    const from = performance.now()
    while (this.ended === undefined) {
      if (performance.now() - from > timeoutMs)
        throw new Error(`the session did not end within ${timeoutMs} ms`)
      await sleep(2)
    }
    const { error, at } = this.ended
    return { error, at, code: KvError.is(error) ? error.code : undefined }
  }

  async stop(reason: unknown = new Error('stopped by the test')): Promise<void> {
    this.#abort.abort(reason)
    await this.#done
  }
}

export function stateOf(updates: readonly KvUpdate[]): Map<string, string> {
  const state = new Map<string, string>()
  for (const update of updates)
    if (update.operation === 'put') state.set(update.key, Buffer.from(update.value).toString('latin1'))
    else state.delete(update.key)
  return state
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** Publishes to a subject of any bytes, which the client's own publish cannot. */
async function rawPublish(
  connection: NatsConnection,
  subject: Uint8Array,
  value: string | Uint8Array,
  headers: Record<string, string>,
): Promise<number> {
  const { createInbox } = await import('@nats-io/nats-core')
  const inbox = createInbox()
  const subscription = connection.subscribe(inbox, { max: 1, timeout: 5_000 })
  const body = Buffer.from(value as string)
  const block =
    Object.keys(headers).length === 0
      ? Buffer.alloc(0)
      : Buffer.from(
          `NATS/1.0\r\n${Object.entries(headers)
            .map(([k, v]) => `${k}: ${v}\r\n`)
            .join('')}\r\n`,
        )
  const sizes = block.length === 0 ? `${body.length}` : `${block.length} ${block.length + body.length}`
  const line = Buffer.concat([
    Buffer.from(block.length === 0 ? 'PUB ' : 'HPUB '),
    subject,
    Buffer.from(` ${inbox} ${sizes}\r\n`),
    block,
    body,
    Buffer.from('\r\n'),
  ])
  const { protocol } = connection as unknown as { protocol: { sendCommand(bytes: Uint8Array): void } }
  protocol.sendCommand(line)
  for await (const message of subscription) {
    const reply = message.json<{ seq?: number; error?: unknown }>()
    if (reply.seq === undefined) throw new Error(`refused: ${JSON.stringify(reply)}`)
    return reply.seq
  }
  throw new Error('no acknowledgement')
}

/** The context of a bucket as a connection makes it. */
export function contextOf(connection: NatsConnection, bucket: string, inboxPrefix = '_INBOX'): BucketContext {
  const api = new JetStreamApi(connection, '$JS.API', 5_000)
  return {
    connection,
    bucket,
    stream: `KV_${bucket}`,
    mirrorOf: undefined,
    identity: {},
    subjectPrefix: `$KV.${bucket}.`,
    inboxPrefix,
    apiPrefix: '$JS.API',
    timeoutMs: 5_000,
    api: async (subject, body, options) => await api.request(subject, body, options),
  }
}
