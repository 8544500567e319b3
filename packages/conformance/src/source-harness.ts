import {
  type FollowSource,
  type KvReader,
  type KvStore,
  type KvWatcher,
  type KvWriter,
  type VersionToken,
  type WatchOptions,
  type WatchScope,
} from '@slip/kv-core'
import { CaseSkipped } from './conformance-case.ts'
import type { SourceSuite } from './source-suite.ts'
import { WatchSession } from './watch-session.ts'

/** An open source on an empty bucket; its watches and handles end with the case. */
export class SourceHarness {
  readonly watcher: KvWatcher
  readonly #source: FollowSource
  readonly #bucket: Partial<KvStore>
  readonly #sessions: WatchSession[] = []

  private constructor(source: FollowSource, bucket: Partial<KvStore>) {
    this.watcher = source.watcher
    this.#source = source
    this.#bucket = bucket
  }

  static async with(suite: SourceSuite, body: (harness: SourceHarness) => Promise<void>): Promise<void> {
    const fixture = await suite.create()
    const opening = new AbortController()
    try {
      const source = await fixture.source({ signal: opening.signal })
      const harness = new SourceHarness(source, fixture.store ?? source)
      try {
        await body(harness)
      } finally {
        for (const session of harness.#sessions) await session.stop()
        await source.close?.()
      }
    } finally {
      await fixture.destroy()
    }
  }

  get writer(): KvWriter {
    return this.#bucket.writer ?? missing('writer')
  }

  get reader(): KvReader {
    return this.#bucket.reader ?? this.#source.reader ?? missing('reader')
  }

  get ttl(): KvStore['ttl'] {
    return this.#bucket.ttl
  }

  get purger(): KvStore['purger'] {
    return this.#bucket.purger
  }

  async closeSource(): Promise<void> {
    if (this.#source.close === undefined) throw new CaseSkipped('the source has no close()')
    await this.#source.close()
  }

  watch(scope: WatchScope, options: Omit<WatchOptions, 'signal'> = {}): WatchSession {
    const session = new WatchSession(this.watcher, scope, options)
    this.#sessions.push(session)
    return session
  }

  /** Puts each key in turn, its own name as the value. */
  async putAll(keys: readonly string[]): Promise<VersionToken[]> {
    const versions: VersionToken[] = []
    for (const key of keys) versions.push(await this.writer.put(key, key))
    return versions
  }
}

/** The body of most cases. */
export function onSource(
  body: (harness: SourceHarness) => Promise<void>,
): (suite: SourceSuite) => Promise<void> {
  return (suite) => SourceHarness.with(suite, body)
}

function missing(what: string): never {
  throw new CaseSkipped(`neither the fixture nor the source has a ${what}`)
}
