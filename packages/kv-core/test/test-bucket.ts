import {
  KvError,
  scopeCovers,
  scopePrefixes,
  VersionToken,
  WatchCursor,
  type FollowSource,
  type KvHistory,
  type KvReader,
  type ListedKey,
  type Listing,
  type KvUpdate,
  type KvWatcher,
  type SourceDescription,
  type SourceOpener,
  type StoredMessage,
  type WatchBatch,
  type WatchOptions,
  type WatchScope,
} from '@slip/kv-core'

/** A bucket with history 1 in this process: honest, unless told otherwise. */
export class TestBucket {
  name = 'config'
  incarnation = 'first'
  evicts: boolean | undefined = false
  evictsOldestFirst = true
  /** The age at which keys leave, where nothing else makes them leave. */
  evictsAfterMs: number | undefined
  last = 0n
  /** Raised by hand to stand for evicted messages. */
  floor = 0n
  keepAliveMs = 20
  maxBatch = 100
  /** While set, opening and describing reject with it and sessions end with it. */
  unreachable: KvError | undefined
  /** While true nothing is yielded and nothing answers. */
  frozen = false
  /** Left out of descriptions. */
  silentAbout: readonly (keyof SourceDescription)[] = []
  countOffset = 0n
  /** How long a description is on its way. */
  answerMs = 0
  /** What a question about the history gets instead of an answer. */
  historyFails: Error | undefined
  /** How many questions about the history are answered as if nothing were stored below the last revision. */
  laggingAnswers = 0
  /** Whether the source can be asked about its history at all. */
  hasHistory = true
  readonly asked: string[] = []
  historyPerKey = 1
  /** Whether the source can be read and listed. */
  hasReader = false
  listings = 0
  /** Called for each key that a listing gives. */
  onListed: (key: string) => void | Promise<void> = () => undefined
  /** What a listing says of a key. */
  listedAs: (listed: ListedKey) => ListedKey = (listed) => listed
  /** While true sessions yield nothing, although the bucket answers. */
  deafSessions = false
  /** How long ago a batch came that a session yields; undefined: it does not say. */
  waitedMs: number | undefined
  /** While true sessions that begin with nothing yield their first batch and no more. */
  holdsHydration = false
  opened = 0
  closed = 0
  readonly watches: { readonly after: bigint | undefined; readonly emptyValues: string | undefined }[] = []
  #clockMs = 1_000
  readonly #latest = new Map<string, KvUpdate>()
  readonly #sessions = new Set<(error: KvError) => void>()
  #wake: (() => void)[] = []
  readonly #again: KvUpdate[] = []

  put(key: string, value: string = key): bigint {
    this.last++
    this.#latest.set(key, {
      operation: 'put',
      key,
      value: new TextEncoder().encode(value),
      version: VersionToken.fromRevision(this.last),
      writtenAtMs: ++this.#clockMs,
    })
    this.#notify()
    return this.last
  }

  delete(key: string): bigint {
    this.last++
    const version = VersionToken.fromRevision(this.last)
    this.#latest.set(key, { operation: 'delete', key, version, writtenAtMs: ++this.#clockMs })
    this.#notify()
    return this.last
  }

  /** Time passes. */
  pass(ms: number): void {
    this.#clockMs += ms
  }

  /** Gone without a message. */
  vanish(key: string): void {
    this.#latest.delete(key)
  }

  /** The newest revision of a key was removed, and an older one of before is its newest now. */
  uncover(key: string, update: KvUpdate): void {
    this.#latest.set(key, update)
  }

  newest(key: string): KvUpdate | undefined {
    return this.#latest.get(key)
  }

  /** A new history under the same name. */
  recreate(): void {
    this.#latest.clear()
    this.last = 0n
    this.floor = 0n
    this.incarnation += '+'
  }

  rollBack(last: bigint): void {
    for (const [key, update] of this.#latest) if (update.version.revision! > last) this.#latest.delete(key)
    this.last = last
  }

  /** Delivers the newest update of a key once more. */
  redeliver(key: string): void {
    this.#again.push(this.#latest.get(key)!)
    this.#notify()
  }

  /** Ends every session with an error. */
  breakSessions(error: KvError = new KvError('Unreachable', 'the session was cut')): void {
    for (const end of this.#sessions) end(error)
  }

  thaw(): void {
    this.frozen = false
    this.#notify()
  }

  get firstRevision(): bigint {
    const kept = [...this.#latest.values()].map(({ version }) => version.revision!)
    const lowest = kept.length === 0 ? this.last + 1n : kept.reduce((a, b) => (a < b ? a : b))
    return lowest > this.floor ? lowest : this.floor
  }

  readonly opener: SourceOpener = async () => {
    this.opened++
    if (this.unreachable !== undefined) throw this.unreachable
    return this.source()
  }

  source(): FollowSource {
    return {
      name: this.name,
      watcher: this.hasHistory ? { ...this.watcher, history: this.history } : this.watcher,
      ...(this.hasReader ? { reader: this.#reader } : {}),
      close: async () => {
        this.closed++
      },
    }
  }

  readonly history: KvHistory = {
    at: async (revision) =>
      this.#answer(`at ${revision}`, ({ version }) => version.revision === revision, 'lagging'),
    newest: async (key) => this.#answer(`newest ${key}`, (update) => update.key === key),
    firstAfter: async (revision, scope) => {
      const prefixes = scopePrefixes(scope)
      return this.#answer(
        `firstAfter ${revision}`,
        ({ key, version }) => version.revision! > revision && scopeCovers(prefixes, key),
      )
    },
  }

  readonly watcher: KvWatcher = {
    describe: async (scope, options) => {
      while (this.frozen) await this.#change(options?.signal)
      if (this.unreachable !== undefined) throw this.unreachable
      const full: Record<string, unknown> = {
        kind: 'test',
        name: this.name,
        incarnation: this.incarnation,
        firstRevision: this.firstRevision,
        lastRevision: this.last,
        keyCount: BigInt(this.#inScope(scope, undefined).length) + this.countOffset,
        evictsCurrentValues: this.evicts,
        evictsOldestFirst: this.evictsOldestFirst,
        historyPerKey: this.historyPerKey,
        ...(this.evictsAfterMs === undefined ? {} : { evictsAfterMs: this.evictsAfterMs }),
        serverTimeMs: this.#clockMs,
      }
      for (const name of this.silentAbout) delete full[name]
      if (this.answerMs > 0) await new Promise((resolve) => setTimeout(resolve, this.answerMs))
      return full as unknown as SourceDescription
    },
    watch: (scope, options) => this.#watch(scope, options),
  }

  async *#watch(scope: WatchScope, { after, signal, emptyValues }: WatchOptions): AsyncIterable<WatchBatch> {
    this.watches.push({ after: after?.revision, emptyValues })
    let failure: KvError | undefined
    const end = (error: KvError): void => {
      failure = error
      this.#notify()
    }
    this.#sessions.add(end)
    try {
      let position = after?.revision ?? 0n
      const target = this.last
      let caughtUp = false
      for (;;) {
        signal.throwIfAborted()
        if (failure !== undefined) throw failure
        if (this.unreachable !== undefined) throw this.unreachable
        const again = this.#again.splice(0)
        if (again.length > 0) yield { updates: again, caughtUp: false }
        const held = this.holdsHydration && after === undefined && position > 0n
        if (!this.frozen && !this.deafSessions && !held) {
          const updates = this.#inScope(scope, position).slice(0, this.maxBatch)
          const complete = updates.length < this.maxBatch
          if (complete) position = this.last > position ? this.last : position
          else position = updates.at(-1)!.version.revision!
          const reached: boolean = !caughtUp && complete && position >= target
          caughtUp ||= reached
          yield {
            updates,
            caughtUp: reached,
            atEnd: complete,
            ...(this.waitedMs === undefined ? {} : { receivedAtMs: performance.now() - this.waitedMs }),
            ...(complete && position > 0n ? { bookmark: WatchCursor.fromRevision(position) } : {}),
          }
          if (!complete) continue
        }
        await this.#change(signal)
      }
    } finally {
      this.#sessions.delete(end)
    }
  }

  readonly #reader: KvReader = {
    get: async () => undefined,
    entry: async () => undefined,
    keys: (prefix = '') => this.#listing(prefix),
    scan: () => {
      throw new Error('nobody scans')
    },
  }

  #listing(prefix: string): Listing<ListedKey> {
    this.listings++
    let complete!: (cursor: WatchCursor) => void
    const validAt = new Promise<WatchCursor>((resolve) => (complete = resolve))
    const { last } = this
    const items = this.#inScope({ prefix }, undefined).filter(({ operation }) => operation === 'put')
    const onListed = (key: string): void | Promise<void> => this.onListed(key)
    const listedAs = (listed: ListedKey): ListedKey => this.listedAs(listed)
    async function* list(): AsyncGenerator<ListedKey> {
      for (const { key, version } of items) {
        await onListed(key)
        yield listedAs({ key, version })
      }
      complete(WatchCursor.fromRevision(last))
    }
    return { validAt, [Symbol.asyncIterator]: list }
  }

  #answer(
    question: string,
    wanted: (update: KvUpdate) => boolean,
    kind?: 'lagging',
  ): StoredMessage | undefined {
    this.asked.push(question)
    if (this.historyFails !== undefined) throw this.historyFails
    const found = this.#inScope('all', undefined).find(wanted)
    if (found === undefined) return undefined
    if (kind === 'lagging' && this.laggingAnswers-- > 0) return { key: 'older', revision: 1n, writtenAtMs: 1 }
    const { key, version, writtenAtMs } = found
    return { key, revision: version.revision!, writtenAtMs: writtenAtMs! }
  }

  #inScope(scope: WatchScope, after: bigint | undefined): KvUpdate[] {
    const prefixes = scopePrefixes(scope)
    return [...this.#latest.values()]
      .filter(({ key, version }) => scopeCovers(prefixes, key) && version.revision! > (after ?? 0n))
      .sort((a, b) => (a.version.revision! < b.version.revision! ? -1 : 1))
  }

  #notify(): void {
    const wake = this.#wake
    this.#wake = []
    for (const resolve of wake) resolve()
  }

  #change(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (then: () => void): void => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', onAbort)
        then()
      }
      const timer = setTimeout(() => settle(resolve), this.keepAliveMs)
      const onAbort = (): void => settle(() => reject(signal?.reason as Error))
      signal?.addEventListener('abort', onAbort)
      this.#wake.push(() => settle(resolve))
    })
  }
}

/** A bucket with `key.0`, `key.1` and so on. */
export function numbered(count: number): TestBucket {
  return bucketOf(...Array.from({ length: count }, (_, i) => `key.${i}`))
}

/** A bucket with these keys. */
export function bucketOf(...keys: string[]): TestBucket {
  const bucket = new TestBucket()
  for (const key of keys) bucket.put(key)
  return bucket
}
