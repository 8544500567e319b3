// The store beside lmdb's own calls in one run: reads, scans and random applies of N entries of about 250 bytes.
// Usage: node bench/beside-raw.mjs [N]
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { VersionToken, WatchCursor } from '@slip/kv-core'
import { LmdbSnapshot } from '@slip/store-lmdb'
import { open } from '../dist/lmdb-js.js'
import { watchLoop } from './measure.mjs'

const ENTRIES = Number(process.argv[2] ?? 1_000_000)
const READS = 200_000
const BATCH = 1_024
const SCANS = 101
const value = Buffer.alloc(200, 'v')

const directory = await mkdtemp(join(tmpdir(), 'slip-bench-'))
try {
  await run(join(directory, 'fold'))
} finally {
  await rm(directory, { recursive: true, force: true })
}

async function run(path) {
  let store = await LmdbSnapshot.open({ path, durability: 'os' })
  const random = seeded(1)
  let revision = 0
  const apply = async (numbers) => {
    const batch = numbers.map((number) => ({
      operation: 'put',
      key: keyOf(number),
      value,
      version: VersionToken.fromRevision(BigInt(++revision)),
    }))
    await store.apply(batch, WatchCursor.fromRevision(BigInt(revision)))
  }

  const began = performance.now()
  for (let i = 0; i < ENTRIES; i += BATCH)
    await apply(Array.from({ length: Math.min(BATCH, ENTRIES - i) }, (_, j) => i + j))
  const each = ((performance.now() - began) * 1_000) / ENTRIES
  print(
    'hydrate, in key order',
    `${each.toFixed(2)} us an entry, ${Math.round(store.stats.bytes / ENTRIES)} B an entry in the file`,
  )

  const raw = rawDatabase(join(path, 'fold-00000001.mdb'))
  const keys = Array.from({ length: READS }, () => keyOf(random(ENTRIES)))
  const prefix = keyOf(Math.floor(ENTRIES / 2)).split('instance')[0]
  for (let round = 1; round <= 2; round++) {
    print(`round ${round}`, '')
    print(
      'raw getBinaryFast',
      perCall(keys, (key) => raw.data.getBinaryFast(key)),
    )
    print(
      'read',
      perCall(keys, (key) => store.read(key, () => true)),
    )
    print(
      'raw getBinary',
      perCall(keys, (key) => raw.data.getBinary(key)),
    )
    print(
      'get',
      perCall(keys, (key) => store.get(key)),
    )
    print(
      'raw, absent',
      perCall(keys, (key) => raw.data.getBinaryFast(`${key}x`)),
    )
    print(
      'get, absent',
      perCall(keys, (key) => store.get(`${key}x`)),
    )
    print(
      'raw range of a prefix',
      scan(() => [...raw.data.getRange({ start: prefix, end: `${prefix}~` })].length),
    )
    print(
      'range of a prefix',
      scan(() => store.range(prefix).length),
    )
  }
  await raw.close()

  for (const durability of ['os', 'batch']) {
    await store.close()
    store = await LmdbSnapshot.open({ path, durability })
    const loop = watchLoop()
    const from = performance.now()
    for (let i = 0; i < 20; i++) await apply(Array.from({ length: BATCH }, () => random(ENTRIES)))
    const us = ((performance.now() - from) * 1_000) / (20 * BATCH)
    const { longestMs, longestRunMs } = loop.end()
    print(
      `random apply, ${durability}`,
      `${us.toFixed(1)} us an update; the event loop stood still for ${longestMs.toFixed(1)} ms at most, ${longestRunMs.toFixed(1)} of CPU`,
    )
  }
  await store.close()
}

function keyOf(number) {
  const service = String(Math.floor(number / 1_000)).padStart(6, '0')
  return `route.svc-${service}.instance-${String(number).padStart(10, '0')}`
}

function rawDatabase(file) {
  const keyEncoder = {
    writeKey: (key, target, start) => start + target.utf8Write(key, start),
    readKey: (source, start, end) => source.utf8Slice(start, end),
  }
  const options = { encoding: 'binary', keyEncoder }
  const root = open(file, {
    ...options,
    noSubdir: true,
    maxDbs: 4,
    maxReaders: 512,
    noReadAhead: true,
    overlappingSync: false,
    readOnly: true,
    writableFile: true,
  })
  return { data: root.openDB('data', options), close: async () => root.close() }
}

function perCall(keys, call) {
  const took = new Float64Array(keys.length)
  for (const [i, key] of keys.entries()) {
    const from = performance.now()
    call(key)
    took[i] = performance.now() - from
  }
  took.sort()
  const at = (share) => (took[Math.floor(share * took.length)] * 1_000).toFixed(1)
  return `p50 ${at(0.5)}, p99 ${at(0.99)}, p99.9 ${at(0.999)} us`
}

function scan(call) {
  const took = Array.from({ length: SCANS }, () => {
    const from = performance.now()
    const found = call()
    return { us: (performance.now() - from) * 1_000, found }
  }).sort((a, b) => a.us - b.us)
  const { us, found } = took[Math.floor(SCANS / 2)]
  return `p50 ${Math.round(us)} us for ${found} entries`
}

function seeded(seed) {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

function print(what, result) {
  process.stdout.write(`${what.padEnd(24)} ${result}\n`)
}
