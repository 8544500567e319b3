import type { NatsConnection } from '@nats-io/nats-core'
import type { WaitOptions } from '@slip/kv-core'

/** What the sessions need to know of their bucket and its connection. */
export interface WatchContext {
  readonly connection: NatsConnection
  readonly bucket: string
  /** The stream behind the bucket. */
  readonly stream: string
  /** What stands before a key in a subject: `$KV.<bucket>.`. */
  readonly subjectPrefix: string
  /** Where replies may be received, without a last dot. */
  readonly inboxPrefix: string
  /**
   * A JetStream API request; `subject` is without the API prefix. Throws KvError; what the server
   * refused has its `err_code` in `cause`.
   */
  api(subject: string, body: object | undefined, options: WaitOptions): Promise<unknown>
}
