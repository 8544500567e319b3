import type { SourceOpener, StoreConfig } from '@slip/kv-core'

import type { NatsConnectionConfig } from './connect/config.ts'
import { NatsConnection } from './connection.ts'
import { checkBucketName } from './key.ts'

/**
 * A bucket as the source of a `follow`. It connects when the follower opens it, on a connection of its
 * own that the follower closes. With `create` the bucket is made when there is none.
 */
export function natsBucket(
  name: string,
  config: NatsConnectionConfig & { readonly create?: StoreConfig } = {},
): SourceOpener {
  checkBucketName(name)
  const { create, ...connectionConfig } = config
  return async ({ signal }) => {
    const connection = await NatsConnection.connect(connectionConfig, { signal })
    try {
      const { watcher, reader } = await connection.store(name, create, { signal })
      return { name, watcher, reader, close: () => connection.close() }
    } catch (error) {
      await connection.close()
      throw error
    }
  }
}
