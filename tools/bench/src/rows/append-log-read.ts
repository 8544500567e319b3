import type { AppendLogSnapshot } from '@slip/store-applog'
import { median, percentile } from '../measure.ts'
import { print } from '../report.ts'
import { keyOf, scattered, servicePrefix, valueOf } from '../workload.ts'

interface Naive {
  readonly key: string
  readonly value: Uint8Array
}

/** L6 and L7: warm random gets, absent gets, and prefix reads of a thousand keys. */
export async function readRows(store: AppendLogSnapshot, count: number): Promise<void> {
  const map = new Map<string, Naive>()
  for (let i = 0; i < count; i++) {
    const key = keyOf(i)
    map.set(key, { key, value: valueOf(i) })
  }
  const keys = Array.from({ length: 200_000 }, (_, i) => keyOf(scattered(i, count)))
  const ours = latencies(keys, (key) => store.get(key))
  const floor = latencies(keys, (key) => map.get(key))
  print({
    id: 'L6',
    what: `get, warm, random, ${count} entries: p50`,
    ours: ours.p50,
    unit: 'us',
    floor: floor.p50,
    floorIs: 'Map.get',
    note: `p99 ${ours.p99.toFixed(2)} us beside ${floor.p99.toFixed(2)} us`,
  })
  const absent = latencies(
    keys.map((key) => `${key}x`),
    (key) => store.get(key),
  )
  print({
    id: 'L6',
    what: 'get of an absent key: p50',
    ours: absent.p50,
    unit: 'us',
    note: `p99 ${absent.p99.toFixed(2)} us`,
  })
  await inOrder(store)
  prefixRows(store, map, count)
}

/** The store puts its keys in order in the background; waits until a range no longer has to search for them. */
async function inOrder(store: AppendLogSnapshot): Promise<void> {
  const from = performance.now()
  for (;;) {
    const read = performance.now()
    store.range(servicePrefix(0), { limit: 1 })
    if (performance.now() - read < 1) break
    await new Promise((resolve) => setTimeout(resolve, 250))
  }
  process.stdout.write(
    `     keys in order ${(performance.now() - from).toFixed(0)} ms after the first range\n`,
  )
}

function prefixRows(store: AppendLogSnapshot, map: ReadonlyMap<string, Naive>, count: number): void {
  const services = Math.floor(count / 1_000)
  const sorted = [...map.keys()].sort()
  const reads = Array.from({ length: 300 }, (_, i) => servicePrefix(scattered(i, services)))
  const timesOf = (read: (prefix: string) => number, prefixes: readonly string[]): number =>
    median(
      prefixes.map((prefix) => {
        const from = performance.now()
        if (read(prefix) !== 1_000) throw new Error(`the prefix ${prefix} does not have a thousand keys`)
        return (performance.now() - from) * 1e3
      }),
    )
  timesOf((prefix) => store.range(prefix).length, reads)
  print({
    id: 'L7',
    what: `prefix read of 1,000 keys, ${count} entries: p50`,
    ours: timesOf((prefix) => store.range(prefix).length, reads),
    unit: 'us',
    floor: timesOf((prefix) => sortedRead(sorted, map, prefix), reads),
    floorIs: 'binary search in a sorted array, then Map.get',
    peer: timesOf((prefix) => filterAndSort(map, prefix), reads.slice(0, 5)),
    peerIs: 'filter and sort of a Map',
  })
}

function sortedRead(sorted: readonly string[], map: ReadonlyMap<string, Naive>, prefix: string): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (sorted[middle]! < prefix) low = middle + 1
    else high = middle
  }
  const found: Naive[] = []
  for (; low < sorted.length && sorted[low]!.startsWith(prefix); low++) found.push(map.get(sorted[low]!)!)
  return found.length
}

function filterAndSort(map: ReadonlyMap<string, Naive>, prefix: string): number {
  const found: Naive[] = []
  for (const entry of map.values()) if (entry.key.startsWith(prefix)) found.push(entry)
  return found.sort((a, b) => (a.key < b.key ? -1 : 1)).length
}

function latencies(keys: readonly string[], get: (key: string) => unknown): { p50: number; p99: number } {
  for (const key of keys) get(key)
  // A clock read costs as much as a get: groups of eight share one.
  const group = 8
  const times = new Float64Array(Math.floor(keys.length / group))
  for (let i = 0; i < times.length; i++) {
    const from = performance.now()
    for (let j = 0; j < group; j++) get(keys[i * group + j]!)
    times[i] = ((performance.now() - from) * 1e3) / group
  }
  times.sort()
  return { p50: percentile(times, 0.5), p99: percentile(times, 0.99) }
}
