import { follow } from '@slip/kv-core'
import { natsBucket } from '@slip/nats'
import { appendLog } from '@slip/store-applog'
import { lmdb, LmdbSnapshot } from '@slip/store-lmdb'

// Makes the fold of a bucket as it is in the long run: caught up, in no layers, and closed.
const [store, bucket, servers, path] = process.argv.slice(2)
const startedAt = performance.now()
const fold = await follow({
  source: natsBucket(bucket, { servers }),
  store: store === 'LMDB' ? lmdb({ path, durability: 'os' }) : appendLog({ path }),
})
await fold.caughtUp()
const hydratedMs = performance.now() - startedAt
await fold.close()
if (store === 'LMDB') {
  const snapshot = await LmdbSnapshot.open({ path, durability: 'os' })
  await snapshot.settle()
  await snapshot.close()
}
process.send({ hydratedMs })
process.disconnect()
