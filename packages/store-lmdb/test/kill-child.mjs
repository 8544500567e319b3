import { LmdbSnapshot } from '@slip/store-lmdb'
import { VersionToken, WatchCursor } from '@slip/kv-core'

// Writes batches of a history that everybody can compute, until it is killed.
const [path, durability] = process.argv.slice(2)
const store = await LmdbSnapshot.open({ path, durability })
for (let i = Number(store.cursor.revision ?? 0n) + 1; ; i++) {
  const version = VersionToken.fromRevision(BigInt(i))
  const batch = Array.from({ length: 8 }, (_, j) => ({
    operation: 'put',
    key: `k${(i * 8 + j) % 400}`,
    value: Buffer.alloc(100 + (i % 50), `${i}`),
    version,
  }))
  if (i % 5 === 0) batch.push({ operation: 'delete', key: `k${i % 400}`, version })
  await store.apply(batch, WatchCursor.fromRevision(BigInt(i)), { lineage: Buffer.from(`${i}`) })
  process.stdout.write(`${i}\n`)
}
