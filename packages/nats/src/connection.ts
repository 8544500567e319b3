import { inspect } from 'node:util'
import type { NatsConnection as Client } from '@nats-io/nats-core'
import { KvError } from '@slip/kv-core'
import type { Connection, ConnectionCapabilities, StoreConfig, WaitOptions } from '@slip/kv-core'

import { bucketInfo, type BucketInfo } from './bucket/bucket-info.ts'
import { knowsMessageTtl, openBucket, streamInfo, type OpenedBucket } from './bucket/open-bucket.ts'
import { originOf, streamName, subjectPrefix, type StreamConfig } from './bucket/stream-config.ts'
import type { BucketContext, BucketIdentity } from './bucket-context.ts'
import {
  apiPrefix,
  DEFAULT_INBOX_PREFIX,
  DEFAULT_TIMEOUT_MS,
  resolveConfig,
  type NatsConnectionConfig,
} from './connect/config.ts'
import { Pulse } from './connect/pulse.ts'
import { rawConnect } from './connect/raw-connect.ts'
import { JetStreamApi } from './jetstream-api.ts'
import { checkBucketName } from './key.ts'
import { NatsReader } from './read/reader.ts'
import { createNatsWatcher } from './session/watcher.ts'
import { NatsStore } from './store.ts'
import { AckInbox } from './write/ack-inbox.ts'
import { NatsWriter } from './write/writer.ts'

interface ConnectionParts {
  readonly client: Client
  readonly owned: boolean
  readonly api: JetStreamApi
  readonly inboxPrefix: string
}

/**
 * A connection to NATS. It reconnects for ever by itself; what was under way when it broke fails with
 * KvError. Nothing of it shows a credential: not its fields, not its JSON, not its errors.
 */
export class NatsConnection implements Connection {
  readonly #client: Client
  readonly #owned: boolean
  readonly #api: JetStreamApi
  readonly #inboxPrefix: string
  readonly #inbox: AckInbox
  readonly #pulse: Pulse
  readonly #closing = new AbortController()

  private constructor({ client, owned, api, inboxPrefix }: ConnectionParts) {
    this.#client = client
    this.#owned = owned
    this.#api = api
    this.#inboxPrefix = inboxPrefix
    this.#inbox = new AckInbox(client, inboxPrefix)
    this.#pulse = new Pulse(client)
    void this.#readEvents()
  }

  /**
   * Connects; gives up after `timeoutMs` (default 5 s). KvError `Unreachable`, `Unauthorized`;
   * `TypeError` or `RangeError` for a configuration that cannot be meant.
   */
  static async connect(
    config: NatsConnectionConfig = {},
    options: WaitOptions = {},
  ): Promise<NatsConnection> {
    const resolved = await resolveConfig(config)
    const client = await rawConnect(resolved, options)
    const api = new JetStreamApi(client, resolved.apiPrefix, resolved.timeoutMs)
    return new NatsConnection({ client, owned: true, api, inboxPrefix: resolved.inboxPrefix })
  }

  /**
   * Borrows a connection of `@nats-io/nats-core` 3, on any transport; `close` leaves it open.
   * `TypeError` when it is none.
   */
  static from(
    connection: object,
    config: Pick<NatsConnectionConfig, 'domain' | 'apiPrefix' | 'inboxPrefix' | 'timeoutMs'> = {},
  ): NatsConnection {
    const client = connection as Client & { readonly options?: { readonly inboxPrefix?: string } }
    if (typeof client.request !== 'function' || typeof client.subscribe !== 'function')
      throw new TypeError('this is no connection of @nats-io/nats-core')
    const api = new JetStreamApi(client, apiPrefix(config), config.timeoutMs ?? DEFAULT_TIMEOUT_MS)
    const inboxPrefix = config.inboxPrefix ?? client.options?.inboxPrefix ?? DEFAULT_INBOX_PREFIX
    return new NatsConnection({ client, owned: false, api, inboxPrefix })
  }

  /** Whether the server proved to be there within the last 3 s. */
  get healthy(): boolean {
    return this.#pulse.healthy
  }

  get capabilities(): ConnectionCapabilities {
    const { version, max_payload: maxValueBytes } = this.#client.info ?? {}
    return {
      watch: true,
      prefixWatch: true,
      ttl: version !== undefined && knowsMessageTtl(version),
      purge: true,
      compareAndSwap: true,
      transactions: false,
      globalOrdering: true,
      ...(maxValueBytes === undefined ? {} : { maxValueBytes }),
    }
  }

  /**
   * Opens a bucket; with `config` creates it when there is none, in the standard KV layout. KvError
   * `BucketNotFound`, `QuotaExceeded`, `Unsupported` (`markerTtlMs` needs server 2.11), `Timeout`,
   * `Unreachable`, `PermissionDenied`, `Closed`. A mirror is read and watched like its origin; writing
   * to it is `Unsupported`. `identity` is what folds are bound to.
   */
  async store(
    name: string,
    config?: StoreConfig,
    options: WaitOptions & { readonly identity?: BucketIdentity } = {},
  ): Promise<NatsStore> {
    checkBucketName(name)
    this.#closing.signal.throwIfAborted()
    const { identity = {}, ...wait } = options
    const serverVersion = this.#client.info?.version
    const opened = await openBucket(this.#api, name, config, { ...wait, serverVersion })
    return this.#storeOf(opened, this.#contextOf(name, opened.info.config, identity))
  }

  /** What a bucket is set to and holds; KvError `BucketNotFound`. */
  async bucketInfo(name: string, options?: WaitOptions): Promise<BucketInfo> {
    checkBucketName(name)
    this.#closing.signal.throwIfAborted()
    return bucketInfo(name, await streamInfo(this.#api, name, options))
  }

  /** Deletes a bucket and everything in it; KvError `BucketNotFound`, `OutcomeUnknown`. */
  async deleteBucket(name: string, options?: WaitOptions): Promise<void> {
    checkBucketName(name)
    this.#closing.signal.throwIfAborted()
    await this.#api.request(`STREAM.DELETE.${streamName(name)}`, undefined, options, 'write')
  }

  /**
   * Ends watches and listings with `Closed`, writes under way with `OutcomeUnknown`; nothing works on it
   * or its buckets afterwards, on a borrowed connection either. Idempotent.
   */
  async close(): Promise<void> {
    this.#pulse.stop()
    this.#closing.abort(new KvError('Closed', 'the connection is closed'))
    this.#inbox.close()
    if (this.#owned) await this.#client.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  toJSON(): object {
    const closed = this.#closing.signal.aborted || this.#client.isClosed()
    return { server: this.#client.getServer(), healthy: this.healthy, closed }
  }

  static {
    Object.defineProperty(this.prototype, inspect.custom, {
      value(this: NatsConnection): string {
        return `NatsConnection ${inspect(this.toJSON())}`
      },
    })
  }

  #storeOf({ info, drift }: OpenedBucket, context: BucketContext): NatsStore {
    const { config } = info
    const { bucket: name } = context
    let messageTtls = config.allow_msg_ttl === true
    const rules = {
      direct: config.allow_direct === true,
      maxAgeMs: config.max_age !== undefined && config.max_age > 0 ? config.max_age / 1e6 : undefined,
      messageTtls,
    }
    const writer = new NatsWriter({
      context,
      inbox: this.#inbox,
      maxPayloadBytes: () => this.#client.info?.max_payload,
      messageTtls: async () =>
        (messageTtls ||= (await streamInfo(this.#api, name)).config.allow_msg_ttl === true),
    })
    return new NatsStore({
      name,
      drift,
      reader: new NatsReader({ context, api: this.#api, rules, closing: this.#closing.signal }),
      watcher: createNatsWatcher(context),
      writer,
      ttl: writer.ttl,
      purger: writer,
      closing: this.#closing.signal,
    })
  }

  #contextOf(bucket: string, config: StreamConfig, identity: BucketIdentity): BucketContext {
    return {
      connection: this.#client,
      bucket,
      stream: streamName(bucket),
      subjectPrefix: subjectPrefix(bucket, config),
      mirrorOf: originOf(config),
      identity,
      inboxPrefix: this.#inboxPrefix,
      apiPrefix: this.#api.prefix,
      timeoutMs: this.#api.timeoutMs,
      api: (subject, body, options) => this.#api.request(subject, body, options),
    }
  }

  async #readEvents(): Promise<void> {
    for await (const event of this.#client.status()) {
      if (event.type === 'disconnect' || event.type === 'staleConnection') {
        this.#pulse.lost()
        this.#inbox.disconnected()
      } else if (event.type === 'reconnect') this.#pulse.proven()
      else if (event.type === 'error') {
        // Asked by shape: a borrowed client may come from another copy of its package.
        const { operation, subject } = event.error as { operation?: unknown; subject?: unknown }
        if (operation === 'publish' && typeof subject === 'string') this.#inbox.denied(subject)
      }
    }
  }
}
