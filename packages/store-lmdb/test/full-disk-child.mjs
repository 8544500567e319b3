import { SnapshotError, VersionToken, WatchCursor } from '@slip/kv-core'
import { LmdbSnapshot } from '@slip/store-lmdb'

// Writes until the system refuses, under a limit on the size of files; then says what it was told.
const [path, durability] = process.argv.slice(2)
const said = { acknowledged: 0 }
try {
  const store = await LmdbSnapshot.open({ path, durability })
  said.acknowledged = Number(store.cursor.revision ?? 0n)
  try {
    for (let i = said.acknowledged + 1; ; i++) {
      const version = VersionToken.fromRevision(BigInt(i))
      const batch = Array.from({ length: 20 }, (_, j) => ({
        operation: 'put',
        key: `k${i}.${j}`,
        value: Buffer.alloc(2_000, `${i}`),
        version,
      }))
      await store.apply(batch, WatchCursor.fromRevision(BigInt(i)))
      said.acknowledged = i
    }
  } catch (error) {
    said.code = SnapshotError.is(error) ? error.code : String(error)
    said.after = await store.apply([], store.cursor).catch((again) => again.code)
    said.reads = [...store.keys()].length
    await store.close()
  }
} catch (error) {
  said.open = SnapshotError.is(error) ? error.code : String(error)
}
process.stdout.write(JSON.stringify(said))
