import { LmdbSnapshot } from '@slip/store-lmdb'
import { WatchCursor } from '@slip/kv-core'
import { BATCH, batchAt } from './bulk-history.mjs'

// Hydrates a fold with batches of a history that everybody can compute, merges it, and stays.
const [path, durability, count, bulk] = process.argv.slice(2)
const store = await LmdbSnapshot.open({ path, durability, bulk: JSON.parse(bulk) })
for (let i = Number(store.cursor.revision ?? 0n) + 1; i <= Number(count) / BATCH; i++) {
  await store.apply(batchAt(i, Number(count)), WatchCursor.fromRevision(BigInt(i)), {
    lineage: Buffer.from(`${i}`),
  })
  process.stdout.write(`${i}\n`)
}
process.stdout.write('all\n')
await store.settle()
process.stdout.write('merged\n')
setInterval(() => undefined, 1_000)
