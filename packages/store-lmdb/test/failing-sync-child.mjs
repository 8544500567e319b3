import { VersionToken, WatchCursor } from '@slip/kv-core'
import { LmdbSnapshot } from '@slip/store-lmdb'

// Opens a fold and commits to it, and says what failed first and how.
const [path] = process.argv.slice(2)
const value = new Uint8Array(1)
const batch = [{ operation: 'put', key: 'b', value, version: VersionToken.fromRevision(2n) }]
let doing = 'open'
try {
  const store = await LmdbSnapshot.open({ path, walk: false })
  doing = 'apply'
  await store.apply(batch, WatchCursor.fromRevision(2n))
  doing = 'close'
  await store.close()
  process.stdout.write('{}')
} catch ({ code }) {
  process.stdout.write(JSON.stringify({ failed: doing, code }))
}
process.exit()
