import { openSync, readSync } from 'node:fs'
import { AppendLogSnapshot } from '@slip/store-applog'
import { controlStalls, stallsOf, type Stalls } from './measure.ts'

// One load in a fresh process, because resident memory can only be told apart there.
const [mode, path] = process.argv.slice(2) as [string, string]
globalThis.gc?.()
const before = process.memoryUsage().rss
const from = performance.now()
let entries = 0
let stalls: Stalls | undefined
let idleP99Ms = 0
let keep: unknown
if (mode === 'ours') {
  stalls = await stallsOf(async () => {
    const store = await AppendLogSnapshot.open({ path })
    entries = store.stats.entries
    keep = store
  })
} else {
  const map = naiveLoad(path)
  entries = map.size
  keep = map
}
const ms = performance.now() - from
if (stalls !== undefined) idleP99Ms = (await controlStalls(1_000)).p99Ms
globalThis.gc?.()
const rss = process.memoryUsage().rss - before
process.send?.({ ms, entries, rss, stalls, idleP99Ms, kept: keep !== undefined })
process.disconnect()
process.exit(0)

/** The obvious loader: the whole generation-2 file in memory, then a Map of objects. */
function naiveLoad(file: string): Map<string, { key: string; value: Buffer; version: bigint }> {
  const handle = openSync(file, 'r')
  const map = new Map<string, { key: string; value: Buffer; version: bigint }>()
  const chunks: Buffer[] = []
  for (;;) {
    const chunk = Buffer.allocUnsafe(1 << 20)
    const n = readSync(handle, chunk)
    if (n === 0) break
    chunks.push(chunk.subarray(0, n))
  }
  const bytes = Buffer.concat(chunks)
  for (let at = 6; at < bytes.length;) {
    const type = bytes[at + 4]
    if (type !== 1) break
    const keyEnd = at + 7 + bytes.readUInt16LE(at + 5)
    const key = bytes.toString('utf8', at + 7, keyEnd)
    const valueEnd = keyEnd + 4 + bytes.readUInt32LE(keyEnd)
    map.set(key, {
      key,
      value: Buffer.from(bytes.subarray(keyEnd + 4, valueEnd)),
      version: bytes.readBigUInt64BE(valueEnd + 1),
    })
    at = valueEnd + 1 + bytes[valueEnd]!
  }
  return map
}
