// How long the store holds the event loop, with N entries of about 250 bytes: its own slices, without what they waited for
// a processor and collected garbage, and what a timer saw beside them.
// Usage: node --expose-gc bench/loop.mjs [N]
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { VersionToken, WatchCursor } from '@slip/kv-core'
import { LmdbReader, LmdbSnapshot, verifyLmdb } from '@slip/store-lmdb'
import { stallsOf } from '../../../tools/bench/dist/measure.js'

const ENTRIES = Number(process.argv[2] ?? 1_000_000)
const BATCH = 10_000
const value = Buffer.alloc(200, 'v')
let revision = 0
let longestCallMs = 0

const directory = await mkdtemp(join(tmpdir(), 'slip-bench-'))
try {
  await run(join(directory, 'fold'))
} finally {
  await rm(directory, { recursive: true, force: true })
}

async function run(path) {
  let store = await LmdbSnapshot.open({ path, durability: 'os', walk: false })
  await row(`${ENTRIES} entries in batches of ${BATCH}`, async () => {
    for (let i = 0; i < ENTRIES; i += BATCH) await commit(store, (j) => i + j)
  })
  await store.close()
  await row('open', async () => {
    store = await LmdbSnapshot.open({ path, durability: 'os', walk: false })
  })
  const random = () => Math.floor(Math.random() * ENTRIES)
  await row(`20 random batches of ${BATCH}`, async () => {
    for (let i = 0; i < 20; i++) await commit(store, random)
  })
  const prefixes = Array.from({ length: 201 }, () => keyOf(random()).split('instance')[0])
  await row('a view of each of 201 prefixes of 1,000 keys', async () => {
    for (const prefix of prefixes) {
      slice(() => store.range(prefix))
      await new Promise((resolve) => setImmediate(resolve))
    }
  })
  await row('a reader opened', async () => (await LmdbReader.open({ path })).close())
  await row('sync', async () => store.sync())
  await row('verify beside the writer', async () => verifyLmdb(path))
  await row('compact', async () => store.compact())
  await store.close()
  store = await LmdbSnapshot.open({
    path,
    durability: 'os',
    walk: { everyMs: 1, bytesPerSecond: 64 * 2 ** 20 },
  })
  await row('a round of the walk in the background', async () => {
    while (store.walked.rounds === 0) await new Promise((resolve) => setTimeout(resolve, 5))
  })
  await row('close', async () => store.close())
}

async function commit(store, numberOf) {
  const batch = Array.from({ length: BATCH }, (_, i) => ({
    operation: 'put',
    key: keyOf(numberOf(i)),
    value,
    version: VersionToken.fromRevision(BigInt(++revision)),
  }))
  // What made the batch is not the store's.
  await new Promise((resolve) => setImmediate(resolve))
  await store.apply(batch, WatchCursor.fromRevision(BigInt(revision)))
}

function slice(call) {
  const from = performance.now()
  call()
  longestCallMs = Math.max(longestCallMs, performance.now() - from)
}

async function row(what, work) {
  longestCallMs = 0
  const from = performance.now()
  const { longestSliceMs, longestWorkMs, slices, p99Ms } = await stallsOf(work)
  const took = performance.now() - from
  const parts = [
    `${took.toFixed(0)} ms`,
    `${slices} slices, the longest ${longestSliceMs.toFixed(1)} ms, ${longestWorkMs.toFixed(1)} of it work`,
    ...(longestCallMs > 0 ? [`the longest call ${longestCallMs.toFixed(1)} ms`] : []),
    `the loop late by ${p99Ms.toFixed(1)} ms (p99)`,
  ]
  process.stdout.write(`${what.padEnd(46)} ${parts.join('; ')}\n`)
}

function keyOf(number) {
  const service = String(Math.floor(number / 1_000)).padStart(6, '0')
  return `route.svc-${service}.instance-${String(number).padStart(10, '0')}`
}
