import { Bucket, Kvm } from '@nats-io/kv'
import { JetStreamRefusal, type RawJetStream } from './raw-jetstream.ts'

/** What a key holds. */
export interface Held {
  readonly value: string
  readonly revision: bigint
}

export type Holding = ReadonlyMap<string, Held>

/** Fields of a stream's configuration as they stand on the wire. */
export type StreamSettings = Readonly<Record<string, unknown>>

export interface BucketFacts {
  readonly created: string
  readonly firstSequence: bigint
  readonly lastSequence: bigint
  readonly subjectCount: number
}

interface StreamInfo {
  readonly created: string
  readonly config: StreamSettings
  readonly state: {
    readonly first_seq: number
    readonly last_seq: number
    readonly num_subjects?: number
    readonly subjects?: Readonly<Record<string, number>>
  }
}

interface StoredMessage {
  readonly message: { readonly seq: number; readonly data?: string; readonly hdrs?: string }
}

const NO_MESSAGE_FOUND = 10_037
const REMOVAL = /^(KV-Operation: *(DEL|PURGE)|Nats-Marker-Reason:)/im

/**
 * A bucket of a cell, written with `@nats-io/kv` and handled through the JetStream API. Its stream is laid
 * out as KV buckets are, but allows the removal of single messages.
 */
export class MatrixBucket {
  readonly name: string
  readonly #jetstream: () => RawJetStream
  readonly #written = new Map<string, Held>()

  constructor(jetstream: () => RawJetStream, name: string) {
    this.#jetstream = jetstream
    this.name = name
  }

  async create(settings: StreamSettings = {}): Promise<void> {
    await this.#api('CREATE', { ...layout(this.name), ...settings })
  }

  /** `ttl` is a `Nats-TTL`: whole seconds, or `never`. */
  async put(key: string, value: string, ttl?: string): Promise<bigint> {
    const headers = ttl === undefined ? {} : { 'Nats-TTL': ttl }
    const revision = await this.#jetstream().publish(this.#subject(key), value, headers)
    this.#written.set(key, { value, revision })
    return revision
  }

  /** Writes a delete marker. */
  async delete(key: string): Promise<void> {
    await this.#jetstream().publish(this.#subject(key), '', { 'KV-Operation': 'DEL' })
    this.#written.delete(key)
  }

  /** Every write minus every delete, under these prefixes: what is left of it in the bucket is another matter. */
  written(prefixes: readonly string[]): Holding {
    return new Map([...this.#written].filter(([key]) => prefixes.some((prefix) => key.startsWith(prefix))))
  }

  /** The clean-up call of the KV client: removes delete markers with their keys. */
  async purgeDeletes(): Promise<void> {
    const kv = await new Kvm(this.#jetstream().connection).open(this.name)
    if (!(kv instanceof Bucket)) throw new TypeError('this client has no purgeDeletes')
    await kv.purgeDeletes(-1)
  }

  /** Removes messages with nobody told; without `filter` (a key, or `a.>`) all of them. */
  async purge(filter?: string): Promise<void> {
    await this.#api('PURGE', filter === undefined ? {} : { filter: this.#subject(filter) })
  }

  /** Removes the newest message of a key. */
  async deleteMessage(key: string): Promise<void> {
    const stored = await this.#last(key)
    if (stored === undefined) throw new Error(`there is no ${key}`)
    await this.#api('MSG.DELETE', { seq: stored.message.seq, no_erase: true })
  }

  async update(settings: StreamSettings): Promise<void> {
    const { config } = await this.#info()
    await this.#api('UPDATE', { ...config, ...settings })
  }

  async destroy(): Promise<void> {
    await this.#api('DELETE')
  }

  async facts(): Promise<BucketFacts> {
    const { created, state } = await this.#info()
    return {
      created,
      firstSequence: BigInt(state.first_seq),
      lastSequence: BigInt(state.last_seq),
      subjectCount: state.num_subjects ?? 0,
    }
  }

  /** Whether any message of the key is there. */
  async has(key: string): Promise<boolean> {
    const { state } = await this.#info({ subjects_filter: this.#subject(key) })
    return Object.keys(state.subjects ?? {}).length > 0
  }

  /**
   * Keys that a server counts and has no last message of: a 2.10, where the newest of several revisions of a
   * key was removed. The older one is there or not, depending on how it is asked for.
   */
  async contradictions(): Promise<ReadonlySet<string>> {
    const keys = await this.#keys()
    const stored = await Promise.all(keys.map(async (key) => await this.#last(key)))
    return new Set(keys.filter((_, i) => stored[i] === undefined))
  }

  /** Everything alive under these prefixes, by subject names and the last message of each. */
  async listing(prefixes: readonly string[]): Promise<Holding> {
    const keys = (await this.#keys()).filter((key) => prefixes.some((prefix) => key.startsWith(prefix)))
    const held = await Promise.all(keys.map(async (key) => [key, aliveIn(await this.#last(key))] as const))
    return new Map(held.flatMap(([key, alive]) => (alive === undefined ? [] : [[key, alive] as const])))
  }

  async #keys(): Promise<string[]> {
    const { state } = await this.#info({ subjects_filter: this.#subject('>') })
    return Object.keys(state.subjects ?? {}).map((subject) => subject.slice(this.#subject('').length))
  }

  #subject(key: string): string {
    return `$KV.${this.name}.${key}`
  }

  async #last(key: string): Promise<StoredMessage | undefined> {
    try {
      return (await this.#api('MSG.GET', { last_by_subj: this.#subject(key) })) as StoredMessage
    } catch (error) {
      if (error instanceof JetStreamRefusal && error.code === NO_MESSAGE_FOUND) return undefined
      throw error
    }
  }

  async #info(body?: object): Promise<StreamInfo> {
    return (await this.#api('INFO', body)) as StreamInfo
  }

  async #api(verb: string, body?: object): Promise<unknown> {
    return await this.#jetstream().api(`STREAM.${verb}.KV_${this.name}`, body)
  }
}

function aliveIn(stored: StoredMessage | undefined): Held | undefined {
  if (stored === undefined) return undefined
  const { message } = stored
  const headers = Buffer.from(message.hdrs ?? '', 'base64').toString('latin1')
  const value = Buffer.from(message.data ?? '', 'base64').toString()
  return value === '' || REMOVAL.test(headers) ? undefined : { value, revision: BigInt(message.seq) }
}

function layout(bucket: string): StreamSettings {
  return {
    name: `KV_${bucket}`,
    subjects: [`$KV.${bucket}.>`],
    retention: 'limits',
    max_consumers: -1,
    max_msgs: -1,
    max_bytes: -1,
    max_age: 0,
    max_msgs_per_subject: 1,
    max_msg_size: -1,
    storage: 'file',
    num_replicas: 1,
    discard: 'new',
    allow_rollup_hdrs: true,
    deny_delete: false,
    deny_purge: false,
    allow_direct: true,
  }
}
