import type { KvStore, SourceOpener } from '@slip/kv-core'

/** One empty bucket. */
export interface SourceFixture {
  readonly source: SourceOpener
  /**
   * Another handle on the same bucket, to write with. Left out, what `source` opens must itself be a
   * KvStore with a writer.
   */
  readonly store?: KvStore
  destroy(): Promise<void>
}

/** Each is given as true or false; where one is false the opposite is tested. */
export interface SourceFeatures {
  /** Keys with a time to live, which leave a marker that watches see. */
  readonly ttl: boolean
  readonly purge: boolean
  readonly compareAndSwap: boolean
  /** Scopes narrower than `all`. */
  readonly prefixes: boolean
  /** `describe` gives revisions, counts and an incarnation. */
  readonly describe: boolean
  /** The watcher has `history`. Left out, whether it has it decides which cases run. */
  readonly history?: boolean
}

/** What the author of a source writes. Buckets keep one revision of a key and have no other limit. */
export interface SourceSuite {
  /** An empty bucket of its own for each call. */
  create(): Promise<SourceFixture>
  readonly features: SourceFeatures
  /** Case id to reason: these must fail, and passing is an error. */
  readonly knownGaps?: Readonly<Record<string, string>>
}
