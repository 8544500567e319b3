import type {
  Connection,
  ConnectionCapabilities,
  KvPurge,
  KvReader,
  KvStore,
  KvTtl,
  KvWriter,
  SettingDrift,
  StoreConfig,
  WaitOptions,
} from '@slip/kv-core'
import { KvError } from '@slip/kv-core'
import { settingDrift } from './bucket-settings.ts'
import type { Bucket } from './bucket.ts'
import { Buckets } from './buckets.ts'
import { MemoryFaults } from './faults.ts'
import { MemoryReader } from './reader.ts'
import { MemoryWatcher } from './watcher.ts'
import { MemoryWriter } from './writer.ts'

export interface MemoryConnectionOptions {
  /** The clock of every bucket, in Unix milliseconds. @default Date.now */
  readonly now?: () => number
}

/** Buckets inside this process, gone with it. Values are copied on the way in and on the way out. */
export class MemoryConnection implements Connection {
  readonly capabilities: ConnectionCapabilities = {
    watch: true,
    prefixWatch: true,
    ttl: true,
    purge: true,
    compareAndSwap: true,
    transactions: false,
    globalOrdering: true,
  }
  /** Misfortunes of real buckets, for tests. */
  readonly faults: MemoryFaults
  readonly #buckets: Buckets

  constructor(options: MemoryConnectionOptions = {}) {
    this.#buckets = new Buckets(options.now ?? Date.now)
    this.faults = new MemoryFaults(this.#buckets)
  }

  /** False after `close` and while `faults.disconnect()` holds. */
  get healthy(): boolean {
    return this.#buckets.healthy
  }

  async store(name: string, config?: StoreConfig, options?: WaitOptions): Promise<MemoryStore> {
    options?.signal?.throwIfAborted()
    const found = this.#buckets.find(name)
    if (found === undefined && config !== undefined) this.#buckets.create(name, config)
    const bucket = this.#buckets.open(name)
    return new MemoryStore(name, () => this.#buckets.open(name), settingDrift(config ?? {}, bucket.settings))
  }

  /** Deletes a bucket; its watches end with KvError `BucketNotFound`. */
  async deleteBucket(name: string, options?: WaitOptions): Promise<void> {
    options?.signal?.throwIfAborted()
    this.#buckets.delete(name)
  }

  /** Lets every bucket go; watches end with KvError `Closed`. Idempotent. */
  async close(): Promise<void> {
    this.#buckets.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

/** A named bucket of a MemoryConnection. It finds the bucket by name at each call, so it outlives a recreation. */
export class MemoryStore implements KvStore {
  readonly name: string
  readonly reader: KvReader
  readonly watcher: MemoryWatcher
  readonly writer: KvWriter
  readonly ttl: KvTtl
  readonly purger: KvPurge
  readonly drift: readonly SettingDrift[]
  #closed = false

  constructor(name: string, open: () => Bucket, drift: readonly SettingDrift[]) {
    const openUnlessClosed = (): Bucket => {
      if (this.#closed) throw new KvError('Closed', `the handle on bucket ${name} is closed`)
      return open()
    }
    const writer = new MemoryWriter(openUnlessClosed)
    this.name = name
    this.drift = drift
    this.reader = new MemoryReader(openUnlessClosed)
    this.watcher = new MemoryWatcher(openUnlessClosed)
    this.writer = writer
    this.ttl = writer.ttl
    this.purger = writer
  }

  /** Ends the watches of this handle with KvError `Closed`; the bucket stays. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true
    this.watcher.close()
  }
}
