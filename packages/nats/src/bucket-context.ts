import type { NatsConnection } from '@nats-io/nats-core'
import type { WaitOptions } from '@slip/kv-core'

/**
 * What folds of a bucket are bound to. A mirror has the revisions of its origin, so folds may go on with
 * another mirror, or with the origin, where all of them are given the same identity.
 */
export interface BucketIdentity {
  /** @default the name of the bucket */
  readonly name?: string
  /** What changes when its history starts again. @default the time the stream was created */
  readonly incarnation?: string
}

/**
 * One bucket on one connection, as everything that reads, writes or watches it sees it: what stands
 * before a key in a subject, the stream behind, and a JetStream API request that knows the prefix or
 * domain of the connection.
 */
export interface BucketContext {
  readonly connection: NatsConnection
  readonly bucket: string
  /** The stream behind the bucket. */
  readonly stream: string
  /** What stands before a key in a subject: `$KV.<bucket>.`; in a mirror the origin's. */
  readonly subjectPrefix: string
  /** The bucket this one is a mirror of. */
  readonly mirrorOf: string | undefined
  /** What folds are bound to instead of the bucket's name and the time its stream was created. */
  readonly identity: BucketIdentity
  /** Where replies may be received, without a last dot. */
  readonly inboxPrefix: string
  /** `$JS.API` or what stands in its place: a domain's or an account import's prefix. */
  readonly apiPrefix: string
  /** How long a request waits when the caller says nothing, in milliseconds. */
  readonly timeoutMs: number
  /**
   * A JetStream API request; `subject` is without the API prefix. Throws KvError; what the server
   * refused has its `err_code` in `cause`.
   */
  api(subject: string, body: object | undefined, options: WaitOptions): Promise<unknown>
}
