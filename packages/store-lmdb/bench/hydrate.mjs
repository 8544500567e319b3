// Hydrates a fold of N entries that arrive in random order, then reads it; each figure beside its floor, which is lmdb's
// own calls at their best in the same run. Memory is what is not file cache (RssAnon of /proc/self/status), sampled.
// Usage: node bench/hydrate.mjs [N=1000000] [--durability batch|os] [--plain] [--evict] [--dir DIR] [--in DIR]
//   --in     keeps the fold in DIR; a run that was killed goes on there
//   --plain  without bulk filling, for comparison    --evict  drops the fold's pages from the system's cache all the time
import { execFile, spawnSync } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { VersionToken, WatchCursor } from '@slip/kv-core'
import { LmdbSnapshot, verifyLmdb } from '@slip/store-lmdb'
import { open } from '../dist/lmdb-js.js'
import {
  ioOf,
  perCall,
  print,
  shares,
  stopwatch,
  usEach,
  usText,
  watchLoop,
  watchMemory,
} from './measure.mjs'
import { keyOf, KEYS_A_PREFIX, permutation, pool, seeded, valueOf } from './workload.mjs'

const BATCH = 1_024
const READS = 300_000
const SCANS = 201
const RECORD_BYTES = 209

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    durability: { type: 'string', default: 'os' },
    plain: { type: 'boolean', default: false },
    evict: { type: 'boolean', default: false },
    dir: { type: 'string', default: tmpdir() },
    in: { type: 'string' },
    part: { type: 'string' },
  },
})
const entries = Number(positionals[0] ?? 1_000_000)

if (options.part === undefined) await all()
else await { floor, hydrate, reads, cold }[options.part](positionals[1])

/** Each part in a process of its own, so that none has the memory of another. */
async function all() {
  const directory = options.in ?? (await mkdtemp(join(options.dir, 'slip-hydrate-')))
  const fold = join(directory, 'fold')
  const part = (name, path) => {
    const flags = ['plain', 'evict'].filter((flag) => options[flag]).map((flag) => `--${flag}`)
    const asked = ['--part', name, '--durability', options.durability, ...flags, `${entries}`, path]
    const { status } = spawnSync(process.execPath, [fileURLToPath(import.meta.url), ...asked], {
      stdio: 'inherit',
    })
    if (status !== 0) throw new Error(`${name} ended with ${status}`)
  }
  try {
    print(
      'entries',
      `${entries}, in random order, durability ${options.durability}${options.plain ? ', plain puts' : ''}`,
    )
    part('floor', join(directory, 'floor.mdb'))
    await rm(join(directory, 'floor.mdb'))
    part('hydrate', fold)
    part('reads', fold)
    part('cold', fold)
  } finally {
    if (options.in === undefined) await rm(directory, { recursive: true, force: true })
  }
}

/** Records in key order, appended. */
async function floor(path) {
  const root = open(path, rawOptions({ noSync: true }))
  const data = root.openDB('data', rawOptions({}))
  const memory = watchMemory()
  const began = stopwatch()
  const inOrder = { append: true }
  for (let from = 0; from < entries; from += 20_000)
    root.transactionSync(() => {
      for (let i = from; i < Math.min(entries, from + 20_000); i++)
        data.putSync(keyOf(i), pool.subarray(i & 0x7fff, (i & 0x7fff) + RECORD_BYTES), inOrder)
    })
  const us = usEach(began, entries)
  await root.close()
  const { size } = await stat(path)
  print(
    'floor: sorted append',
    `${usText(us)}, ${Math.round(size / entries)} B an entry in the file, ${memory.end()}`,
  )
}

async function hydrate(path) {
  const bulk = options.plain ? { fromEntries: Number.MAX_SAFE_INTEGER } : {}
  const store = await LmdbSnapshot.open({ path, durability: options.durability, bulk })
  const permuted = permutation(entries)
  const memory = watchMemory()
  const loop = watchLoop()
  const evicting = options.evict ? evictAll(path) : undefined
  const first = Number(store.cursor.revision ?? 0n)
  if (first > 0) print('goes on', `at ${first}`)
  let revision = first
  let slowest = 0
  let last = performance.now()
  const began = stopwatch()
  const step = Math.max(BATCH, Math.ceil(entries / 10))
  for (let i = first; i < entries;) {
    const batch = []
    for (const end = Math.min(entries, i + BATCH); i < end; i++) {
      const number = permuted(i)
      batch.push({
        operation: 'put',
        key: keyOf(number),
        value: valueOf(number),
        version: VersionToken.fromRevision(BigInt(++revision)),
      })
    }
    const from = performance.now()
    await store.apply(batch, WatchCursor.fromRevision(BigInt(revision)))
    slowest = Math.max(slowest, performance.now() - from)
    if (Math.floor(i / step) > Math.floor((i - batch.length) / step)) {
      const now = performance.now()
      const rate = (step / (now - last)).toFixed(1)
      last = now
      print(
        `  at ${i}`,
        `${rate} k/s, ${memory.now()}, ${((await bytesIn(path)) / i).toFixed(0)} B an entry on disk`,
      )
    }
  }
  const arrived = usEach(began, entries - first)
  const merging = stopwatch()
  await store.settle()
  await store.sync()
  const merged = usEach(merging, entries)
  const total = usEach(began, entries - first)
  evicting?.()
  const { longestMs, longestRunMs } = loop.end()
  print('hydrate: arrival', `${usText(arrived)}; slowest apply ${slowest.toFixed(0)} ms`)
  print(
    '  event loop',
    `stood still for ${longestMs.toFixed(0)} ms at most by the clock, for ${longestRunMs.toFixed(1)} ms of CPU at most`,
  )
  print('hydrate: merge, sync', usText(merged))
  print('hydrate: all', `${usText(total)}, ${(1_000 / total.wall).toFixed(1)} k/s; ${memory.end()}`)
  print(
    '  read, written',
    `${ioOf('read_bytes', entries)}, ${ioOf('write_bytes', entries)} B an entry of the disk`,
  )
  print('  file', `${Math.round(store.stats.bytes / entries)} B an entry, ${store.stats.entries} entries`)
  if (store.stats.entries !== entries) throw new Error('the fold has another number of entries')
  await store.close()
}

async function reads(path) {
  const verdict = await verifyLmdb(path)
  print('verify', `${verdict.verdict}, ${verdict.entries} entries`)
  const store = await LmdbSnapshot.open({ path, durability: options.durability })
  const raw = await rawFold(path)
  const random = seeded(7)
  const numbers = Array.from({ length: READS }, () => random(entries))
  const keys = numbers.map(keyOf)
  const absent = keys.map((key) => `${key}x`)
  for (let i = 0; i < 2_000; i++) mustEqual(store.get(keys[i])?.value, valueOf(numbers[i]), keys[i])
  const prefix = `${keyOf(Math.floor(entries / 2 / KEYS_A_PREFIX) * KEYS_A_PREFIX).split('.id-')[0]}.`
  const rows = {
    get: [keys, (key) => raw.data.getBinary(key), (key) => store.get(key)],
    'get, no copy': [keys, (key) => raw.data.getBinaryFast(key), (key) => store.read(key, isThere)],
    'get, absent': [absent, (key) => raw.data.getBinaryFast(key), (key) => store.get(key)],
  }
  for (const [what, [asked, floorCall, call]] of Object.entries(rows)) {
    // The first round brings the pages in.
    let floorTook, took
    for (let round = 0; round < 2; round++) {
      floorTook = perCall(asked, floorCall)
      took = perCall(asked, call)
    }
    print(
      what,
      `${shares(took)} us; floor ${shares(floorTook)} us; ratio of p50 ${(took[READS >> 1] / floorTook[READS >> 1]).toFixed(2)}`,
    )
  }
  const range = { start: prefix, end: `${prefix}~` }
  const floorScan = scan(() => [...raw.data.getRange(range)].length)
  const ours = scan(() => store.range(prefix).length)
  const keysScan = scan(() => [...store.keys(prefix)].length)
  const floorKeys = scan(() => [...raw.data.getKeys(range)].length)
  print('prefix of 1,000', `p50 ${ours} us; floor ${floorScan} us; ratio ${(ours / floorScan).toFixed(2)}`)
  print(
    'prefix of 1,000, keys',
    `p50 ${keysScan} us; floor ${floorKeys} us; ratio ${(keysScan / floorKeys).toFixed(2)}`,
  )
  await raw.close()
  await store.close()
}

/** Gets of pages that are not in memory. */
async function cold(path) {
  const file = await foldFile(path)
  const random = seeded(11)
  const keys = Array.from({ length: 2_000 }, () => keyOf(random(entries)))
  spawnSync('dd', [`if=${file}`, 'of=/dev/null', 'iflag=nocache', 'count=0'])
  const raw = await rawFold(path)
  const floorTook = perCall(keys, (key) => raw.data.getBinaryFast(key))
  await raw.close()
  spawnSync('dd', [`if=${file}`, 'of=/dev/null', 'iflag=nocache', 'count=0'])
  const store = await LmdbSnapshot.open({ path, durability: options.durability })
  const took = perCall(keys, (key) => store.get(key))
  await store.close()
  print(
    'cold get',
    `${shares(took)} us; floor ${shares(floorTook)} us (pages that could be dropped from the cache were)`,
  )
}

function rawOptions(more) {
  const keyEncoder = {
    writeKey: (key, target, start) => start + target.utf8Write(key, start),
    readKey: (source, start, end) => source.utf8Slice(start, end),
  }
  return {
    encoding: 'binary',
    keyEncoder,
    noSubdir: true,
    maxDbs: 1_536,
    maxReaders: 512,
    pageSize: 4096,
    noReadAhead: true,
    overlappingSync: false,
    ...more,
  }
}

async function rawFold(path) {
  const root = open(await foldFile(path), rawOptions({ readOnly: true, writableFile: true }))
  return { data: root.openDB('data', rawOptions({})), close: () => root.close() }
}

async function foldFile(path) {
  const [, , name] = (await readFile(join(path, 'CURRENT'), 'latin1')).split(' ')
  return join(path, name)
}

async function bytesIn(path) {
  let bytes = 0
  for (const name of await readdir(path))
    bytes += (await stat(join(path, name)).catch(() => undefined))?.size ?? 0
  return bytes
}

function evictAll(path) {
  let going = true
  const again = async () => {
    for (const name of going ? await readdir(path) : [])
      if (name.endsWith('.mdb'))
        await new Promise((resolve) =>
          execFile('dd', [`if=${join(path, name)}`, 'of=/dev/null', 'iflag=nocache', 'count=0'], resolve),
        )
    if (going) setTimeout(() => void again(), 500).unref()
  }
  void again()
  return () => (going = false)
}

function scan(call) {
  const took = Array.from({ length: SCANS }, () => {
    const from = performance.now()
    if (call() !== KEYS_A_PREFIX) throw new Error('a prefix has another number of keys')
    return (performance.now() - from) * 1_000
  }).sort((a, b) => a - b)
  return Math.round(took[SCANS >> 1])
}

function isThere() {
  return true
}

function mustEqual(found, expected, key) {
  if (found === undefined || Buffer.compare(found, expected) !== 0)
    throw new Error(`${key} has another value`)
}
