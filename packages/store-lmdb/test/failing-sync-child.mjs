import { VersionToken, WatchCursor } from '@slip/kv-core'
import { LmdbSnapshot } from '@slip/store-lmdb'

// Opens a fold, commits to it where commits are synced, and says what failed, or whether all of it was durable.
const [path, durability] = process.argv.slice(2)
const value = new Uint8Array(1)
const batch = [{ operation: 'put', key: 'b', value, version: VersionToken.fromRevision(2n) }]
let doing = 'open'
const said = await work().catch(({ code }) => ({ failed: doing, code }))
process.stdout.write(JSON.stringify(said))
process.exit()

async function work() {
  const store = await LmdbSnapshot.open({ path, durability, walk: false })
  doing = 'apply'
  if (durability === 'batch') await store.apply(batch, WatchCursor.fromRevision(2n))
  return { durable: store.durableCursor.equals(store.cursor) }
}
