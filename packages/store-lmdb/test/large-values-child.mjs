import { appendFileSync } from 'node:fs'
import { VersionToken, WatchCursor } from '@slip/kv-core'
import { LmdbSnapshot } from '@slip/store-lmdb'

// Commits values of megabytes, lets somebody else fill the disk to the last byte, and goes on; then says what it was told.
const [path, durability, ballast] = process.argv.slice(2)
const said = { acknowledged: 0 }
const store = await LmdbSnapshot.open({ path, durability })
const first = Number(store.cursor.revision ?? 0n)
try {
  for (let i = first + 1; ; i++) {
    if (i === first + 3) fill()
    const version = VersionToken.fromRevision(BigInt(i))
    const batch = [0, 1, 2].map((j) => ({
      operation: 'put',
      key: `k${i}.${j}`,
      value: new Uint8Array(2_000_000),
      version,
    }))
    await store.apply(batch, WatchCursor.fromRevision(BigInt(i)))
    said.acknowledged = i
  }
} catch (error) {
  said.code = error.code
  said.after = await store.apply([], store.cursor).catch((again) => again.code)
}
await store.close()
process.stdout.write(JSON.stringify(said))

function fill() {
  for (let bytes = 1_048_576; bytes > 0;)
    try {
      appendFileSync(ballast, new Uint8Array(bytes))
    } catch {
      bytes >>= 1
    }
}
