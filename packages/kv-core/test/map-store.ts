import {
  compareKeys,
  SnapshotError,
  WatchCursor,
  type ApplyOptions,
  type FoldReader,
  type KvEntry,
  type KvUpdate,
  type ListedKey,
  type Recovery,
  type RangeOptions,
  type SnapshotLocation,
  type SnapshotStore,
  type StagedFold,
  type StoreFeatures,
  type StoreStats,
  type VersionToken,
  type WaitOptions,
} from '@slip/kv-core'

interface Image {
  readonly entries: Map<string, KvEntry>
  readonly deleted: Map<string, VersionToken>
  cursor: WatchCursor
  lineage: Uint8Array | undefined
}

const emptyImage = (): Image => ({
  entries: new Map(),
  deleted: new Map(),
  cursor: WatchCursor.none,
  lineage: undefined,
})

const copyImage = (image: Image): Image => ({
  entries: new Map(image.entries),
  deleted: new Map(image.deleted),
  cursor: image.cursor,
  lineage: image.lineage,
})

/** "A disk" with one fold on it: survives closing, and fails on demand. */
export class MapLocation implements SnapshotLocation<MapStore> {
  readonly backend = 'map'
  image: Image | undefined
  features: Partial<StoreFeatures> = {}
  /** Called before and after each commit, before an apply of a stage, an opening or a reading of keys, and after a swap; throwing makes it fail. */
  failing: {
    apply?: (batch: readonly KvUpdate[], cursor: WatchCursor) => void
    applied?: () => void
    open?: () => void
    stagedApply?: () => void
    stagedCommit?: () => void
    stagedCommitted?: () => void
    stagedKeys?: () => void
    has?: () => void
    /** Before each entry of an iteration. */
    entry?: (key: string) => void
  } = {}
  /** What the next opening finds wrong, once. */
  damage: SnapshotError | undefined
  setAsides = 0
  /** What a fold that is set aside is called. */
  asideName = 'elsewhere'
  opens = 0
  /** While true an opening ends only by its signal. */
  hangingOpen = false
  holder: MapStore | undefined
  readonly #besides = new Map<string, MapLocation>()
  readonly commits: {
    readonly cursor: WatchCursor
    readonly count: number
    readonly lineage: Uint8Array | undefined
  }[] = []

  async open(options?: WaitOptions): Promise<MapStore> {
    this.opens++
    if (this.hangingOpen)
      await new Promise((_resolve, reject) => {
        options?.signal?.addEventListener('abort', () => reject(options.signal?.reason as Error))
      })
    if (this.holder !== undefined) throw new SnapshotError('Busy', 'the fold is held')
    this.failing.open?.()
    const damage = this.damage
    if (damage !== undefined) throw damage
    this.image ??= emptyImage()
    this.holder = new MapStore(this)
    return this.holder
  }

  async exists(): Promise<boolean> {
    return this.image !== undefined
  }

  /** The fold of another node, or a place for one. */
  beside(purpose: string): MapLocation {
    const place = this.#besides.get(purpose) ?? new MapLocation()
    place.features = this.features
    this.#besides.set(purpose, place)
    return place
  }

  async remove(): Promise<void> {
    this.image = undefined
  }

  /** What another location holds now. */
  copy({ image }: MapLocation): void {
    this.image = copyImage(image!)
  }

  async setAside(): Promise<string> {
    this.setAsides++
    this.image = undefined
    this.damage = undefined
    return this.asideName
  }
}

export class MapStore implements SnapshotStore {
  readonly features: StoreFeatures
  readonly recovery: Recovery | undefined = undefined
  readonly #location: MapLocation
  #image: Image
  #generation = 0
  #durable: WatchCursor
  #state: 'open' | 'done' | 'closed' = 'open'

  constructor(location: MapLocation) {
    this.#location = location
    this.#image = location.image!
    this.#durable = this.#image.cursor
    this.features = {
      views: false,
      lineage: true,
      deletedKeys: true,
      staging: true,
      durable: false,
      multiProcessReaders: false,
      maxKeyBytes: 1_000,
      maxValueBytes: 1_000_000,
      ...location.features,
    }
  }

  get cursor(): WatchCursor {
    return this.#image.cursor
  }

  get durableCursor(): WatchCursor {
    return this.#durable
  }

  get lineage(): Uint8Array | undefined {
    return this.#image.lineage
  }

  get stats(): StoreStats {
    return { entries: this.#image.entries.size, deletedKeys: this.#image.deleted.size, bytes: 0 }
  }

  get(key: string): KvEntry | undefined {
    this.#readable()
    return this.#image.entries.get(key)
  }

  getMany(keys: readonly string[]): (KvEntry | undefined)[] {
    return keys.map((key) => this.get(key))
  }

  has(key: string): boolean {
    this.#location.failing.has?.()
    return this.get(key) !== undefined
  }

  range(prefix: string): KvEntry[] {
    return [...this.entries(prefix)]
  }

  *entries(prefix = '', options: RangeOptions = {}): IterableIterator<KvEntry> {
    this.#readable()
    const generation = this.#generation
    const { gt } = options
    const keys = [...this.#image.entries.keys()]
      .filter((key) => key.startsWith(prefix) && (gt === undefined || compareKeys(key, gt) > 0))
      .sort(compareKeys)
    for (const key of keys.slice(0, options.limit)) {
      if (generation !== this.#generation) throw new SnapshotError('StoreChanged', 'a commit came in between')
      this.#location.failing.entry?.(key)
      yield this.#image.entries.get(key)!
    }
  }

  *keys(prefix?: string, options?: RangeOptions): IterableIterator<string> {
    for (const { key } of this.entries(prefix, options)) yield key
  }

  *deletedKeys(prefix = ''): IterableIterator<ListedKey> {
    this.#readable()
    for (const key of [...this.#image.deleted.keys()].sort(compareKeys))
      if (key.startsWith(prefix)) yield { key, version: this.#image.deleted.get(key)! }
  }

  async apply(batch: readonly KvUpdate[], cursor: WatchCursor, options?: ApplyOptions): Promise<void> {
    this.#writable()
    await Promise.resolve()
    try {
      this.#location.failing.apply?.(batch, cursor)
    } catch (error) {
      if (!(SnapshotError.is(error) && error.code === 'LimitExceeded')) this.#state = 'done'
      throw error
    }
    write(this.#image, batch, cursor, options)
    this.#generation++
    this.#location.commits.push({ cursor, count: batch.length, lineage: options?.lineage })
    try {
      this.#location.failing.applied?.()
    } catch (error) {
      this.#state = 'done'
      throw error
    }
  }

  async sync(): Promise<WatchCursor> {
    this.#writable()
    this.#durable = this.cursor
    return this.#durable
  }

  async stage(): Promise<StagedFold> {
    this.#writable()
    const staged = emptyImage()
    let over = false
    let discarded = false
    const attempt = (what: 'stagedApply' | 'stagedCommit'): void => {
      this.#writable()
      if (over) throw new SnapshotError('Closed', 'the staged fold is over')
      try {
        this.#location.failing[what]?.()
      } catch (error) {
        this.#state = 'done'
        throw error
      }
    }
    return {
      apply: async (batch, cursor, options) => {
        attempt('stagedApply')
        write(staged, batch, cursor, options)
      },
      has: (key) => staged.entries.has(key),
      keys: () => {
        if (discarded) throw new SnapshotError('Closed', 'the staged fold was discarded')
        this.#location.failing.stagedKeys?.()
        return this.#image === staged ? [].values() : staged.entries.keys()
      },
      commit: async () => {
        attempt('stagedCommit')
        over = true
        this.#image = staged
        this.#location.image = staged
        this.#generation++
        try {
          this.#location.failing.stagedCommitted?.()
        } catch (error) {
          this.#state = 'done'
          throw error
        }
      },
      discard: async () => {
        over = true
        discarded = true
      },
    }
  }

  async close(): Promise<void> {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#location.holder = undefined
    this.#image = copyImage(this.#image)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #readable(): void {
    if (this.#state === 'closed') throw new SnapshotError('Closed', 'the store is closed')
  }

  #writable(): void {
    if (this.#state !== 'open') throw new SnapshotError('Closed', `the handle is ${this.#state}`)
  }
}

function write(image: Image, batch: readonly KvUpdate[], cursor: WatchCursor, options?: ApplyOptions): void {
  for (const update of batch) {
    if (update.operation === 'put') {
      image.entries.set(update.key, update)
      image.deleted.delete(update.key)
    } else {
      image.entries.delete(update.key)
      image.deleted.set(update.key, update.version)
    }
  }
  image.cursor = cursor
  if (options?.lineage !== undefined) image.lineage = options.lineage
}

export function textOf(reader: FoldReader, key: string): string | undefined {
  const entry = reader.get(key)
  return entry === undefined ? undefined : new TextDecoder().decode(entry.value)
}
