import { readFileSync, writeFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { follow } from '@slip/kv-core'
import { natsBucket } from '@slip/nats'
import { appendLog } from '@slip/store-applog'
import { lmdb } from '@slip/store-lmdb'

// Follows a bucket until one key has left it, and says what the rebuild for that took and showed.
const [store, bucket, servers, path, leaving, changing] = process.argv.slice(2)
const SAMPLE_EVERY_MS = 10
// Pages of a mapped file are the system's to take back.
const RESIDENT = store === 'LMDB' ? 'RssAnon' : 'VmRSS'

const base = await settledBytes()
const fold = await follow({
  source: natsBucket(bucket, { servers }),
  store: store === 'LMDB' ? lmdb({ path, durability: 'os' }) : appendLog({ path }),
  auditIntervalMs: 1_000,
})
const states = []
let rebuildingAt = 0
fold.onStatus(({ state, reason }) => {
  if (states.at(-1)?.state === state) return
  states.push({ state, reason })
  if (state !== 'resyncing') return
  rebuildingAt = performance.now()
  process.send({ rebuilding: reason })
})
await fold.caughtUp()
// The keys of an append log are put in order in the background.
await wait(3_000)
const before = await settledBytes()
const oldValue = textOf(changing)
writeFileSync('/proc/self/clear_refs', '5')
process.send({ ready: fold.status.entries })

const seen = { mixed: 0, back: 0, duringRebuild: 0, longestTurnMs: 0 }
let sampledAt = performance.now()
for (let swapped = false; !(swapped && fold.status.state === 'live');) {
  await wait(SAMPLE_EVERY_MS)
  const now = performance.now()
  seen.longestTurnMs = Math.max(seen.longestTurnMs, now - sampledAt - SAMPLE_EVERY_MS)
  sampledAt = now
  const isOld = fold.get(leaving) !== undefined
  if (isOld !== (textOf(changing) === oldValue)) seen.mixed++
  if (isOld && swapped) seen.back++
  if (isOld && fold.status.state === 'resyncing') seen.duringRebuild++
  swapped = !isOld
}
const rebuiltMs = performance.now() - rebuildingAt
const peak = kilobytes('VmHWM') * 1024
const { entries } = fold.status
process.send({
  done: { base, before, peak, after: await settledBytes(), states, seen, entries, rebuiltMs },
})
await fold.close()
process.disconnect()

function textOf(key) {
  return Buffer.from(fold.get(key)?.value ?? []).toString()
}

async function settledBytes() {
  for (let i = 0; i < 4; i++) {
    globalThis.gc()
    await wait(100)
  }
  return kilobytes(RESIDENT) * 1024
}

function kilobytes(field) {
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(readFileSync('/proc/self/status', 'utf8'))[1])
}
