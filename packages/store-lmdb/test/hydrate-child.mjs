// Fills a fold with entries that come in an order without order, as fast as it takes them, then says what memory it took.
// Usage: node hydrate-child.mjs PATH ENTRIES
import { readFileSync } from 'node:fs'
import { VersionToken, WatchCursor } from '@slip/kv-core'
import { LmdbSnapshot } from '@slip/store-lmdb'
import { stopwatch, usEach } from '../bench/measure.mjs'
import { keyOf, permutation, valueOf } from '../bench/workload.mjs'

const BATCH = 1_024
const [, , path, count] = process.argv
const entries = Number(count)
const permuted = permutation(entries)
const version = (revision) => VersionToken.fromRevision(BigInt(revision))

const store = await LmdbSnapshot.open({ path, durability: 'os' })
const before = anonymousMb()
let most = before
const timer = setInterval(() => (most = Math.max(most, anonymousMb())), 20)
const began = stopwatch()
for (let i = 0; i < entries;) {
  const batch = []
  for (const end = Math.min(entries, i + BATCH); i < end; i++)
    batch.push({
      operation: 'put',
      key: keyOf(permuted(i)),
      value: valueOf(permuted(i)),
      version: version(i + 1),
    })
  await store.apply(batch, WatchCursor.fromRevision(BigInt(i)))
}
await store.settle()
await store.sync()
const { wall, cpu } = usEach(began, entries)
clearInterval(timer)
most = Math.max(most, anonymousMb())
const bytesEach = store.stats.bytes / entries
await store.close()
process.stdout.write(JSON.stringify({ before, most, wall, cpu, bytesEach }))

/** What is not file cache: the pages of the mapped file are the system's to take back. */
function anonymousMb() {
  return Number(/RssAnon:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'latin1'))?.[1]) / 1_024
}
