import { KvError } from '@slip/kv-core'
import type {
  FollowSource,
  KvEntry,
  KvReader,
  KvWatcher,
  ListedKey,
  Listing,
  SourceOpener,
  WaitOptions,
  WatchCursor,
} from '@slip/kv-core'
import type { SimBucket } from '../bucket/sim-bucket.ts'
import type { SimProcess } from '../world/sim-process.ts'
import { type Deliveries, WireSession } from './wire-session.ts'
import type { Wire } from './wire.ts'

/** As clients of real servers have it. */
const CLIENT_TIMEOUT_MS = 10_000

/** The bucket as a process gets to it over the wire. */
export function wireSource(
  wire: Wire,
  bucket: SimBucket,
  client: SimProcess,
  seen: Deliveries,
): SourceOpener {
  const remote = new RemoteBucket(wire, bucket, client, seen)
  return ({ signal }) =>
    wire.call(client, {
      what: 'open',
      signal,
      timeoutMs: CLIENT_TIMEOUT_MS,
      serve: async () => remote.source(),
      answered: () => seen.contact(),
    })
}

class RemoteBucket {
  #connected = 0
  readonly #wire: Wire
  readonly #bucket: SimBucket
  readonly #client: SimProcess
  readonly #seen: Deliveries

  constructor(wire: Wire, bucket: SimBucket, client: SimProcess, seen: Deliveries) {
    this.#wire = wire
    this.#bucket = bucket
    this.#client = client
    this.#seen = seen
  }

  source(): FollowSource {
    const { store } = this.#bucket
    this.#connected = this.#wire.serverStarts
    return {
      name: store.name,
      watcher: this.#watcher(),
      reader: this.#reader(),
      close: async () => undefined,
    }
  }

  #watcher(): KvWatcher {
    const { watcher } = this.#bucket.store
    const { history } = watcher
    return {
      describe: (scope, options) =>
        this.#call('describe', options, (signal) => watcher.describe(scope, { signal })),
      watch: (scope, { signal, after, emptyValues }) => ({
        [Symbol.asyncIterator]: () =>
          new WireSession(
            this.#wire,
            this.#bucket,
            {
              client: this.#client,
              signal,
              after: after?.revision,
              open: (atServer) => watcher.watch(scope, { signal: atServer, after, emptyValues }),
              mustBeConnected: () => this.#mustBeConnected(),
            },
            this.#seen,
          ),
      }),
      history: {
        at: (revision, options) => this.#call('at', options, () => history.at(revision)),
        newest: (key, options) => this.#call('newest', options, () => history.newest(key)),
        firstAfter: (revision, scope, options) =>
          this.#call('firstAfter', options, () => history.firstAfter(revision, scope)),
      },
    }
  }

  #reader(): KvReader {
    const { reader } = this.#bucket.store
    return {
      get: (key, options) => this.#call('get', options, () => reader.get(key)),
      entry: (key, options) => this.#call('entry', options, () => reader.entry(key)),
      keys: (prefix, options) => this.#listing<ListedKey>(() => reader.keys(prefix), options),
      scan: (prefix, options) => this.#listing<KvEntry>(() => reader.scan(prefix), options),
    }
  }

  #listing<T>(list: () => Listing<T>, options: WaitOptions = {}): Listing<T> {
    let resolve!: (cursor: WatchCursor) => void
    let reject!: (error: unknown) => void
    const validAt = new Promise<WatchCursor>((resolved, rejected) => {
      resolve = resolved
      reject = rejected
    })
    validAt.catch(() => undefined)
    const [wire, seen] = [this.#wire, this.#seen]
    const within = { ...options, timeoutMs: CLIENT_TIMEOUT_MS }
    const call = <R>(what: string, work: () => Promise<R>): Promise<R> => this.#call(what, within, work)
    async function* iterate(): AsyncGenerator<T, void, undefined> {
      const beganMs = wire.world.nowMs
      try {
        const listing = await call('list', async () => list())
        const iterator = listing[Symbol.asyncIterator]()
        for (;;) {
          const result = await call('list next', () => iterator.next())
          if (result.done === true) break
          yield result.value
        }
        resolve(await call('list end', () => listing.validAt))
        seen.listed(beganMs)
      } catch (error) {
        reject(error)
        throw error
      }
    }
    return { validAt, [Symbol.asyncIterator]: iterate }
  }

  #call<R>(
    what: string,
    options: WaitOptions | undefined,
    work: (signal: AbortSignal) => Promise<R>,
  ): Promise<R> {
    return this.#wire.call(this.#client, {
      what,
      signal: options?.signal,
      timeoutMs: options?.timeoutMs,
      serve: async () => {
        this.#mustBeConnected()
        return work(new AbortController().signal)
      },
      answered: () => this.#seen.contact(),
    })
  }

  /** A connection does not outlive the server it was made to. */
  #mustBeConnected(): void {
    if (this.#connected !== this.#wire.serverStarts)
      throw new KvError('Unreachable', 'the connection was lost')
  }
}
