import type { WatchContext } from './session/watch-context.ts'

/**
 * One bucket on one connection, as everything that reads, writes or watches it sees it: what stands
 * before a key in a subject, the stream behind, and a JetStream API request that knows the prefix or
 * domain of the connection.
 */
export interface BucketContext extends WatchContext {
  /** `$JS.API` or what stands in its place: a domain's or an account import's prefix. */
  readonly apiPrefix: string
  /** How long a request waits when the caller says nothing, in milliseconds. */
  readonly timeoutMs: number
}
