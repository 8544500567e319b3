import { runSourceConformance } from '@slip/conformance'
import { MemoryConnection, memoryBucket } from '@slip/memory'
import { test } from 'vitest'

runSourceConformance(test.concurrent, {
  create: async () => {
    const connection = new MemoryConnection()
    const store = await connection.store('conformance', { history: 1, markerTtlMs: 60_000 })
    return {
      source: memoryBucket(connection, 'conformance'),
      store,
      destroy: () => connection.close(),
    }
  },
  features: { ttl: true, purge: true, compareAndSwap: true, prefixes: true, describe: true, history: true },
})
