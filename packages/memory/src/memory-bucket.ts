import type { SourceOpener, StoreConfig } from '@slip/kv-core'
import type { MemoryConnection } from './connection.ts'

/** A source for `follow`: the bucket of `connection`, created first when `config` is given. */
export function memoryBucket(connection: MemoryConnection, name: string, config?: StoreConfig): SourceOpener {
  return ({ signal }) => connection.store(name, config, { signal })
}
