// What the fold in memory costs: node --expose-gc bench/memory-fold.mjs [entries…], after a build.
import { VersionToken } from '@slip/kv-core'
import { MemoryFold } from '../dist/memory/memory-fold.js'
import { recordLengthOf, writeRecord } from '../dist/record.js'

const VALUE_BYTES = 200
const BATCH = 1024
const READS = 200_000

const sizes = process.argv.slice(2).map(Number)
for (const entries of sizes.length > 0 ? sizes : [1_000_000, 4_000_000]) await measure(entries)

function keyOf(i) {
  return `route.svc-${String(Math.floor(i / 1000)).padStart(6, '0')}.instance-${String(i % 1000).padStart(4, '0')}.upstream`
}

async function measure(entries) {
  const value = new Uint8Array(VALUE_BYTES).map((_, i) => (i * 31) & 0xff)
  const step = coprime(entries)
  const payload = Buffer.alloc(BATCH * 400)
  globalThis.gc?.()
  const before = process.memoryUsage.rss()
  const fold = new MemoryFold({ keepDeleted: true })
  let spent = 0
  let longest = 0
  let written = 0
  for (let from = 0; from < entries; from += BATCH) {
    let end = 0
    for (let i = from; i < Math.min(entries, from + BATCH); i++) {
      const key = keyOf((i * step) % entries)
      end = writeRecord(payload, end, {
        operation: 'put',
        key,
        value,
        version: VersionToken.fromRevision(BigInt(i + 1)),
      })
    }
    written += end
    const started = performance.now()
    fold.putRecords(payload, 0, end)
    const took = performance.now() - started
    spent += took
    longest = Math.max(longest, took)
  }
  globalThis.gc?.()
  const loaded = process.memoryUsage.rss()
  print(entries, 'insert, ns an entry', ((spent * 1e6) / entries).toFixed(0))
  print(entries, 'longest insert of a batch, ms', longest.toFixed(2))
  print(entries, 'memory above the records, B an entry', ((loaded - before - written) / entries).toFixed(1))

  const started = performance.now()
  let slice = performance.now()
  let longestSlice = 0
  fold.range('route.svc-000001.', { limit: 1 })
  print(entries, 'first range, nothing ordered, ms', (performance.now() - slice).toFixed(1))
  const ordering = performance.now()
  for (;;) {
    slice = performance.now()
    const more = fold.maintain(3)
    longestSlice = Math.max(longestSlice, performance.now() - slice)
    if (!more) break
    await new Promise(setImmediate)
  }
  print(entries, 'ordering, s', ((performance.now() - ordering) / 1000).toFixed(2))
  print(entries, 'longest slice of ordering, ms', longestSlice.toFixed(2))
  globalThis.gc?.()
  print(
    entries,
    'the same, with the order, B an entry',
    ((process.memoryUsage.rss() - before - written) / entries).toFixed(1),
  )
  void started

  const keys = Array.from({ length: READS }, () => keyOf(Math.floor(Math.random() * entries)))
  percentiles(entries, 'get', keys, (key) => fold.get(key))
  percentiles(
    entries,
    'get, absent',
    keys.map((key) => `${key}x`),
    (key) => fold.get(key),
  )
  percentiles(entries, 'has', keys, (key) => fold.has(key))
  const prefixes = Array.from({ length: 1000 }, () => keyOf(Math.floor(Math.random() * entries)).slice(0, 17))
  percentiles(entries, 'range of 1,000', prefixes, (prefix) => fold.range(prefix), 2)
  percentiles(entries, 'keys of 1,000', prefixes, (prefix) => [...fold.keys(prefix)], 2)

  spent = 0
  longest = 0
  let longestUpkeep = 0
  let upkeep = 0
  let peak = 0
  for (let round = 0; round < entries / BATCH; round++) {
    let end = 0
    for (let i = 0; i < BATCH; i++) {
      const key = keyOf(Math.floor(Math.random() * entries))
      end = writeRecord(payload, end, {
        operation: 'put',
        key,
        value,
        version: VersionToken.fromRevision(BigInt(i + 1)),
      })
    }
    const began = performance.now()
    fold.putRecords(payload, 0, end)
    const put = performance.now()
    fold.maintain(3)
    const done = performance.now()
    spent += put - began
    upkeep += done - put
    longest = Math.max(longest, put - began)
    longestUpkeep = Math.max(longestUpkeep, done - put)
    peak = Math.max(peak, fold.arenaBytes)
  }
  print(entries, 'overwrite, ns an entry', ((spent * 1e6) / entries).toFixed(0))
  print(entries, 'upkeep, ns an entry', ((upkeep * 1e6) / entries).toFixed(0))
  print(
    entries,
    'longest overwrite of a batch / upkeep, ms',
    `${longest.toFixed(2)} / ${longestUpkeep.toFixed(2)}`,
  )
  print(entries, 'most records held / live', (peak / fold.liveBytes).toFixed(2))

  const walkStarted = performance.now()
  const walk = fold.liveRecords()
  const out = Buffer.alloc(1 << 20)
  let at = 0
  while (walk.next()) {
    if (at + walk.end - walk.start > out.length) at = 0
    walk.bytes.copy(out, at, walk.start, walk.end)
    at += walk.end - walk.start
  }
  print(
    entries,
    'walk and copy, ns an entry',
    (((performance.now() - walkStarted) * 1e6) / entries).toFixed(0),
  )
  if (recordLengthOf(out, 0) <= 0) throw new Error('no records')
}

function coprime(entries) {
  let step = Math.floor(entries * 0.618) | 1
  while (gcd(step, entries) !== 1) step += 2
  return step
}

function gcd(a, b) {
  return b === 0 ? a : gcd(b, a % b)
}

function percentiles(entries, what, inputs, read, scale = 1) {
  const times = new Float64Array(inputs.length)
  for (let i = 0; i < inputs.length; i++) {
    const started = performance.now()
    read(inputs[i])
    times[i] = performance.now() - started
  }
  times.sort()
  const us = (share) => (times[Math.floor(times.length * share)] * 1000).toFixed(scale)
  print(entries, `${what}, us p50 / p99`, `${us(0.5)} / ${us(0.99)}`)
}

function print(entries, what, figure) {
  process.stdout.write(`${String(entries).padStart(10)}  ${what.padEnd(46)} ${figure}\n`)
}
