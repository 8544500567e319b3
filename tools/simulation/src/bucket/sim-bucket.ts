import type { KvUpdate, SourceDescription, StoreConfig, WatchBatch } from '@slip/kv-core'
import { WatchCursor } from '@slip/kv-core'
import { MemoryConnection, type BucketBackup, type MemoryStore } from '@slip/memory'
import type { World } from '../world/world.ts'
import { Branch, BucketHistory, type Message } from './history.ts'

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
  readonly #config: StoreConfig
  #backup: { readonly copy: BucketBackup; readonly branch: Branch } | undefined

  private constructor(
    connection: MemoryConnection,
    store: MemoryStore,
    described: SourceDescription,
    config: StoreConfig,
  ) {
    this.connection = connection
    this.#config = config
    this.#store = store
    this.history = new BucketHistory(described.incarnation!)
  }

  static async open(world: World, config: StoreConfig): Promise<SimBucket> {
    const connection = new MemoryConnection({ now: () => world.timeMs })
    const store = await connection.store(BUCKET, config)
    return new SimBucket(connection, store, await store.watcher.describe('all'), config)
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
  passed(updates: readonly KvUpdate[], branch: Branch): void {
    for (const update of updates)
      if (update.operation !== 'put' && update.reason === 'expired') branch.add(messageOf(update))
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

  /** What a node holds that has just hydrated: the newest update of each key, in order, and what the bucket says of itself. */
  async content(): Promise<{
    readonly described: SourceDescription
    readonly updates: readonly KvUpdate[]
  }> {
    const updates: KvUpdate[] = []
    for await (const update of this.#existing(undefined)) updates.push(update)
    return { described: await this.#store.watcher.describe('all'), updates }
  }

  /** `silent`: open watches hear nothing of it. */
  async recreate(silent: boolean): Promise<void> {
    const end = await this.#end()
    const heads = silent ? await this.#lasting() : end.heads
    this.connection.faults.recreate(BUCKET, { silent })
    const { incarnation } = await this.#store.watcher.describe('all')
    // A watch that hears nothing of it may still be moved on by what expires, markers too.
    this.history.begin(new Branch(incarnation!), heads, silent ? Infinity : end.revision)
  }

  async rollback(by: number): Promise<void> {
    const end = await this.#end()
    const to = Math.max(0, end.revision - by)
    this.connection.faults.rollback(BUCKET, BigInt(to))
    this.history.begin(this.history.current.until(to), end.heads, end.revision)
  }

  async backup(): Promise<void> {
    await this.record()
    this.#backup = { copy: this.connection.faults.backup(BUCKET), branch: this.history.current }
  }

  /** Whether there is a backup of this incarnation. */
  get isRestorable(): boolean {
    return this.#backup?.branch.incarnation === this.history.current.incarnation
  }

  /** Puts the bucket back to its last backup. */
  async restore(): Promise<void> {
    const backup = this.#backup!
    const end = await this.#end()
    this.connection.faults.restore(BUCKET, backup.copy)
    this.history.begin(backup.branch.until(Number(backup.copy.lastRevision)), end.heads, end.revision)
  }

  /** How the history ends that goes on no more. */
  async #end(): Promise<{ readonly heads: Map<string, number>; readonly revision: number }> {
    await this.record()
    const heads = new Map([...(await this.heads())].map(([key, { message }]) => [key, message.revision]))
    const { lastRevision } = await this.#store.watcher.describe('all')
    return { heads, revision: Number(lastRevision) }
  }

  /** The newest messages that stay where nobody writes any more. */
  async #lasting(): Promise<Map<string, number>> {
    const lasting = new Map<string, number>()
    if (this.#config.maxAgeMs !== undefined) return lasting
    for await (const update of this.#existing(undefined)) {
      const { key, revision } = messageOf(update)
      const leaves =
        update.operation === 'put' ? update.expiresAtMs !== undefined : update.reason === 'expired'
      if (leaves) lasting.delete(key)
      else lasting.set(key, revision)
    }
    return lasting
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
      // Without a reason each abort makes an exception with a stack.
      stop.abort('read')
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
