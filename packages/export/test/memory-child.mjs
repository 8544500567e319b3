// BYTES DIRECTORY: fills a fold in LMDB, exports and imports it in every way, and says what each took beside the fold.
import { createHash } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { exportSnapshot, importSnapshot, verifyArtifact } from '@slip/export'
import { VersionToken, WatchCursor } from '@slip/kv-core'
import { appendLog } from '@slip/store-applog'
import { lmdb } from '@slip/store-lmdb'
import { measureFloors } from './floors.mjs'

const [bytes, directory] = [Number(process.argv[2]), process.argv[3]]
const VALUE_BYTES = 16 * 1024

/** Memory that is not a mapped file: the pages of LMDB are the system's cache. */
const anonymous = () =>
  Number(/RssAnon:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'latin1'))[1]) / 1024

const store = await lmdb({ path: join(directory, 'source'), durability: 'os' }).open()
const noise = createHash('sha512').update('noise').digest()
for (let written = 0, revision = 0; written < bytes;) {
  const batch = []
  for (let i = 0; i < 64; i++) {
    const value = Buffer.alloc(VALUE_BYTES, noise)
    value.writeUInt32LE(++revision)
    batch.push({
      operation: 'put',
      key: `key.${String(revision).padStart(12, '0')}`,
      value,
      version: VersionToken.fromRevision(BigInt(revision)),
    })
    written += VALUE_BYTES
  }
  await store.apply(batch, WatchCursor.fromRevision(BigInt(revision)))
}
/** What is there before anything of a fold is exported or imported. */
let base = 0
const anonymousNow = () => {
  globalThis.gc?.()
  return anonymous()
}

async function measured(what, work) {
  let peak = 0
  const timer = setInterval(() => {
    peak = Math.max(peak, anonymous() - base)
  }, 10)
  const delays = monitorEventLoopDelay({ resolution: 5 })
  delays.enable()
  const from = performance.now()
  await work()
  const seconds = (performance.now() - from) / 1000
  delays.disable()
  clearInterval(timer)
  process.stdout.write(
    `${JSON.stringify({ what, mbPerSecond: Math.round(bytes / 1e6 / seconds), peakMb: Math.round(peak), loopP99Ms: Math.round(delays.percentile(99) / 1e6), loopMaxMs: Math.round(delays.max / 1e6) })}\n`,
  )
}

const floor = anonymousNow()
base = floor
const native = join(directory, 'native')
const interchange = join(directory, 'interchange')
await measured('export of LMDB', async () => exportSnapshot(store, native))
await measured('interchange export of LMDB', async () =>
  exportSnapshot(store, interchange, { interchange: 1 }),
)
await store.close()
await rm(join(directory, 'source'), { recursive: true })
await measured('verify', async () => verifyArtifact(native))
const into = async (what, artifact, location) => {
  await measured(what, async () => importSnapshot(artifact, location, { scratchDirectory: directory }))
  await rm(join(directory, 'in'), { recursive: true })
}
await into('import into LMDB', native, lmdb({ path: join(directory, 'in') }))
await into('import of LMDB into a log', native, appendLog({ path: join(directory, 'in') }))
await into(
  'import of an interchange artifact into a log',
  interchange,
  appendLog({ path: join(directory, 'in') }),
)
await into('import of an interchange artifact into LMDB', interchange, lmdb({ path: join(directory, 'in') }))
const location = appendLog({ path: join(directory, 'log') })
await importSnapshot(interchange, location)
const ofLog = join(directory, 'of-log')
async function exportLog() {
  const log = await location.open()
  // Its fold is in memory, and goes with this function.
  base = anonymousNow()
  await measured('export of a log', async () => exportSnapshot(log, ofLog))
  await log.close()
}
await exportLog()
anonymousNow()
base = floor
await into('import of a log into a log', ofLog, appendLog({ path: join(directory, 'in') }))
await into('import of a log into LMDB', ofLog, lmdb({ path: join(directory, 'in') }))
const payload = join(native, 'data/fold.mdb')
await measureFloors(measured, payload, directory)
