import { AppendLogSnapshot } from '@slip/store-applog'
import { VersionToken, WatchCursor } from '@slip/kv-core'

// Writes under a file-size limit until it cannot, and says how far it came.
process.on('SIGXFSZ', () => {})
const store = await AppendLogSnapshot.open({ path: process.argv[2] })
let acknowledged = 0
let code
for (let i = 1; i <= 1_000 && code === undefined; i++) {
  const version = VersionToken.fromRevision(BigInt(i))
  try {
    await store.apply(
      [{ operation: 'put', key: `k${i}`, value: new Uint8Array(700).fill(5), version }],
      WatchCursor.fromRevision(BigInt(i)),
    )
    acknowledged = i
  } catch (error) {
    code = error.code
  }
}
await store.close()
console.log(JSON.stringify({ acknowledged, code }))
