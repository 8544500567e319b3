import {
  compareKeys,
  SnapshotError,
  WatchCursor,
  type ApplyOptions,
  type KvEntry,
  type KvPutUpdate,
  type KvRemovalUpdate,
  type KvUpdate,
  type RangeOptions,
  type SnapshotLocation,
  type SnapshotStore,
  type StagedFold,
  type StoreFeatures,
  type StoreStats,
} from '@slip/kv-core'

/** One fold: its entries, the last removal of each deleted key, and what goes with them. */
export interface Image {
  readonly entries: Map<string, KvPutUpdate>
  readonly deleted: Map<string, KvRemovalUpdate>
  cursor: WatchCursor
  lineage: Uint8Array | undefined
}

const emptyImage = (): Image => ({
  entries: new Map(),
  deleted: new Map(),
  cursor: WatchCursor.none,
  lineage: undefined,
})

/** A disk with at most one fold and one staged fold on it. */
export class ReplayLocation implements SnapshotLocation<ReplayStore> {
  readonly backend = 'replay'
  image: Image = emptyImage()
  staged: Image | undefined

  /** The disk as the next process finds it. */
  afterCrash(): ReplayLocation {
    const next = new ReplayLocation()
    const { entries, deleted, cursor, lineage } = this.image
    next.image = { entries: new Map(entries), deleted: new Map(deleted), cursor, lineage }
    return next
  }

  async open(): Promise<ReplayStore> {
    return new ReplayStore(this)
  }

  async exists(): Promise<boolean> {
    return !this.image.cursor.isNone
  }
}

export class ReplayStore implements SnapshotStore {
  readonly features: StoreFeatures = {
    views: false,
    lineage: true,
    deletedKeys: true,
    staging: true,
    durable: false,
    multiProcessReaders: false,
    maxKeyBytes: 100,
    maxValueBytes: 100,
  }
  readonly recovery = undefined
  readonly #location: ReplayLocation
  #closed = false

  constructor(location: ReplayLocation) {
    this.#location = location
  }

  get cursor(): WatchCursor {
    return this.#image.cursor
  }

  get durableCursor(): WatchCursor {
    return this.#image.cursor
  }

  get lineage(): Uint8Array | undefined {
    return this.#image.lineage
  }

  get stats(): StoreStats {
    return { entries: this.#image.entries.size, deletedKeys: this.#image.deleted.size, bytes: 0 }
  }

  get(key: string): KvEntry | undefined {
    return this.#image.entries.get(key)
  }

  getMany(keys: readonly string[]): (KvEntry | undefined)[] {
    return keys.map((key) => this.get(key))
  }

  has(key: string): boolean {
    return this.#image.entries.has(key)
  }

  range(prefix: string): KvEntry[] {
    return [...this.entries(prefix)]
  }

  *entries(prefix = ''): IterableIterator<KvEntry> {
    for (const key of this.keys(prefix)) yield this.#image.entries.get(key)!
  }

  *keys(prefix = '', { limit = Infinity }: RangeOptions = {}): IterableIterator<string> {
    const keys = [...this.#image.entries.keys()].filter((key) => key.startsWith(prefix)).sort(compareKeys)
    yield* keys.slice(0, limit)
  }

  async apply(batch: readonly KvUpdate[], cursor: WatchCursor, options?: ApplyOptions): Promise<void> {
    write(this.#image, batch, cursor, options)
  }

  async sync(): Promise<WatchCursor> {
    return this.cursor
  }

  async stage(): Promise<StagedFold> {
    const staged = emptyImage()
    this.#location.staged = staged
    const leave = (): void => {
      if (this.#location.staged === staged) this.#location.staged = undefined
    }
    return {
      apply: async (batch, cursor, options) => write(staged, batch, cursor, options),
      has: (key) => staged.entries.has(key),
      keys: () => staged.entries.keys(),
      commit: async () => {
        this.#location.image = staged
        leave()
      },
      discard: async () => leave(),
    }
  }

  async close(): Promise<void> {
    this.#closed = true
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  get #image(): Image {
    if (this.#closed) throw new SnapshotError('Closed', 'the store is closed')
    return this.#location.image
  }
}

function write(image: Image, batch: readonly KvUpdate[], cursor: WatchCursor, options?: ApplyOptions): void {
  for (const update of batch)
    if (update.operation === 'put') {
      image.entries.set(update.key, update)
      image.deleted.delete(update.key)
    } else {
      image.entries.delete(update.key)
      image.deleted.set(update.key, update)
    }
  image.cursor = cursor
  if (options?.lineage !== undefined) image.lineage = options.lineage
}
