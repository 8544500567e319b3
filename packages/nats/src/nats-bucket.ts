import type { SourceOpener, StoreConfig } from '@slip/kv-core'

import type { BucketIdentity } from './bucket-context.ts'
import type { NatsConnectionConfig } from './connect/config.ts'
import { NatsConnection } from './connection.ts'
import { checkBucketName } from './key.ts'

/**
 * A bucket as the source of a `follow`. It connects when the follower opens it, on a connection of its
 * own that the follower closes. With `create` the bucket is made when there is none. `identity` is what
 * folds are bound to: give mirrors of one bucket the same one, and a fold may go on with another of them.
 */
export function natsBucket(
  name: string,
  config: NatsConnectionConfig & { readonly create?: StoreConfig; readonly identity?: BucketIdentity } = {},
): SourceOpener {
  checkBucketName(name)
  const { create, identity, ...connectionConfig } = config
  return async ({ signal }) => {
    const connection = await NatsConnection.connect(connectionConfig, { signal })
    try {
      const { watcher, reader } = await connection.store(name, create, {
        signal,
        ...(identity && { identity }),
      })
      return { name, watcher, reader, close: () => connection.close() }
    } catch (error) {
      await connection.close()
      throw error
    }
  }
}
