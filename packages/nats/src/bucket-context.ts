import type { NatsConnection } from '@nats-io/nats-core'
import type { WaitOptions } from '@slip/kv-core'

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
  /** What stands before a key in a subject: `$KV.<bucket>.`. */
  readonly subjectPrefix: string
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
