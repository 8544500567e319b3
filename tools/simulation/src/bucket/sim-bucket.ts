import type { KvUpdate, SourceDescription, StoreConfig, WatchBatch } from '@slip/kv-core'
import { WatchCursor } from '@slip/kv-core'
import { MemoryConnection, type MemoryStore } from '@slip/memory'
import type { World } from '../world/world.ts'
import { BucketHistory, type Message } from './history.ts'

export const BUCKET = 'bucket'
const decoder = new TextDecoder()

/** The newest message of a key that the bucket holds. */
export interface Head {
  readonly message: Message
  readonly live: boolean
}

/** The bucket of a world, with the record of everything that was ever in it. */
export class SimBucket {
  readonly connection: MemoryConnection
  readonly history: BucketHistory
  readonly #store: MemoryStore

  private constructor(connection: MemoryConnection, store: MemoryStore, described: SourceDescription) {
    this.connection = connection
    this.#store = store
    this.history = new BucketHistory(described.incarnation!)
  }

  static async open(world: World, config: StoreConfig): Promise<SimBucket> {
    const connection = new MemoryConnection({ now: () => world.timeMs })
    const store = await connection.store(BUCKET, config)
    return new SimBucket(connection, store, await store.watcher.describe('all'))
  }

  get store(): MemoryStore {
    return this.#store
  }

  /** Takes what was written since the last time into the record. Between two steps nothing is missed. */
  async record(): Promise<void> {
    const branch = this.history.current
    const after =
      branch.lastRevision === 0 ? undefined : WatchCursor.fromRevision(BigInt(branch.lastRevision))
    for await (const update of this.#existing(after)) branch.add(messageOf(update))
  }

  /** A marker the bucket made by itself, as it passed on the wire: it may be gone before it is recorded otherwise. */
  passed(updates: readonly KvUpdate[]): void {
    for (const update of updates)
      if (update.operation !== 'put' && update.reason === 'expired')
        this.history.current.add(messageOf(update))
  }

  /** The newest message of each key at this moment. */
  async heads(): Promise<ReadonlyMap<string, Head>> {
    const heads = new Map<string, Head>()
    for await (const update of this.#existing(undefined)) {
      const message = messageOf(update)
      heads.set(message.key, { message, live: message.operation === 'put' })
    }
    return heads
  }

  async #revisions(): Promise<ReadonlyMap<string, number>> {
    return new Map([...(await this.heads())].map(([key, { message }]) => [key, message.revision]))
  }

  async recreate(): Promise<void> {
    await this.record()
    const heads = await this.#revisions()
    this.connection.faults.recreate(BUCKET)
    const { incarnation } = await this.#store.watcher.describe('all')
    const fresh = new BucketHistory(incarnation!)
    this.history.begin(fresh.current, heads)
  }

  async rollback(by: number): Promise<void> {
    await this.record()
    const heads = await this.#revisions()
    const branch = this.history.current
    const to = Math.max(0, branch.lastRevision - by)
    this.connection.faults.rollback(BUCKET, BigInt(to))
    this.history.begin(branch.until(to), heads)
  }

  async *#existing(after: WatchCursor | undefined): AsyncGenerator<KvUpdate> {
    const stop = new AbortController()
    const watch = this.#store.watcher.watch('all', {
      signal: stop.signal,
      emptyValues: 'keep',
      ...(after === undefined ? {} : { after }),
    }) as AsyncIterable<WatchBatch>
    try {
      for await (const batch of watch) {
        yield* batch.updates
        if (batch.caughtUp) return
      }
    } finally {
      stop.abort()
    }
  }
}

export function messageOf(update: KvUpdate): Message {
  const { key } = update
  const revision = Number(update.version.revision)
  if (update.operation === 'put')
    return { revision, key, operation: 'put', value: decoder.decode(update.value) }
  const operation = update.reason === 'expired' ? 'expired' : update.operation
  return { revision, key, operation, value: '' }
}
