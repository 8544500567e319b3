import { KvError } from '@slip/kv-core'
import type { KvPurge, KvReader, KvStore, KvTtl, KvWatcher, KvWriter, SettingDrift } from '@slip/kv-core'

/** The parts a bucket handle is made of. */
export type StoreParts = Required<Omit<KvStore, 'close'>> & {
  /** Aborts when the connection closes. */
  readonly closing: AbortSignal
}

/** An open bucket. `close` ends its watches with KvError `Closed`; the connection stays. */
export class NatsStore implements KvStore {
  readonly name: string
  readonly reader: KvReader
  readonly watcher: KvWatcher
  readonly writer: KvWriter
  readonly ttl: KvTtl
  readonly purger: KvPurge
  readonly drift: readonly SettingDrift[]
  readonly #closing = new AbortController()

  constructor(parts: StoreParts) {
    const { watcher, closing } = parts
    this.name = parts.name
    this.reader = parts.reader
    this.writer = parts.writer
    this.ttl = parts.ttl
    this.purger = parts.purger
    this.drift = parts.drift
    this.watcher = {
      ...(watcher.history === undefined ? {} : { history: watcher.history }),
      describe: (scope, options) => watcher.describe(scope, options),
      watch: (scope, options) =>
        watcher.watch(scope, {
          ...options,
          signal: AbortSignal.any([options.signal, this.#closing.signal, closing]),
        }),
    }
  }

  async close(): Promise<void> {
    this.#closing.abort(new KvError('Closed', `the handle on bucket ${this.name} is closed`))
  }
}
