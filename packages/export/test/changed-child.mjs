// BYTES VALUE_BYTES DIRECTORY: a fold in LMDB is published, one key in a hundred changes, it is published and fetched again: says what went over the link, and what each step took.
import { createCipheriv, createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import {
  directoryObjects,
  downloadArtifact,
  exportSnapshot,
  importSnapshot,
  publishArtifact,
} from '@slip/export'
import { VersionToken, WatchCursor } from '@slip/kv-core'
import { lmdb } from '@slip/store-lmdb'
import { measureFloors } from './floors.mjs'

const [bytes, valueBytes, directory] = [Number(process.argv[2]), Number(process.argv[3]), process.argv[4]]
const keys = Math.ceil(bytes / valueBytes)
const changed = Math.floor(keys / 100)

let revision = 0
const put = (key) => {
  revision++
  const seed = createHash('md5').update(`${revision}`).digest()
  return {
    operation: 'put',
    key: `key.${String(key).padStart(12, '0')}`,
    value: createCipheriv('aes-128-ctr', seed, Buffer.alloc(16)).update(Buffer.alloc(valueBytes)),
    version: VersionToken.fromRevision(BigInt(revision)),
  }
}
async function change(store, all) {
  for (let at = 0; at < all.length; at += 1024)
    await store.apply(all.slice(at, at + 1024).map(put), WatchCursor.fromRevision(BigInt(revision)))
}
const range = (from, to) => Array.from({ length: to - from }, (_, i) => from + i)

/** Memory that is not a mapped file: the pages of LMDB are the system's cache. */
const anonymous = () =>
  Number(/RssAnon:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'latin1'))[1]) / 1024

const link = { put: 0, got: 0 }
const inner = directoryObjects(join(directory, 'objects'))
async function* counted(body, way) {
  for await (const piece of body instanceof Uint8Array ? [body] : body) {
    link[way] += piece.length
    yield piece
  }
}
const store = {
  capabilities: inner.capabilities,
  get: async (name, options) => {
    const found = await inner.get(name, options)
    return found && { ...found, body: counted(found.body, 'got') }
  },
  put: async (name, body, options) => inner.put(name, counted(body, 'put'), options),
  list: (prefix, options) => inner.list(prefix, options),
  delete: async (name, options) => inner.delete(name, options),
}

let base = 0
let payloadBytes = bytes
async function measured(what, work) {
  globalThis.gc?.()
  base = anonymous()
  let peak = 0
  const timer = setInterval(() => (peak = Math.max(peak, anonymous() - base)), 10)
  link.put = link.got = 0
  const from = performance.now()
  const result = await work()
  const seconds = (performance.now() - from) / 1000
  clearInterval(timer)
  const share = (moved) => Number(((100 * moved) / payloadBytes).toFixed(3))
  process.stdout.write(
    `${JSON.stringify({ what, putPercent: share(link.put), gotPercent: share(link.got), mbPerSecond: Math.round(payloadBytes / 1e6 / seconds), peakMb: Math.round(peak) })}\n`,
  )
  return result
}

const fold = await lmdb({ path: join(directory, 'fold'), durability: 'os' }).open()
for (let at = 0; at < keys; at += 65_536) await change(fold, range(at, Math.min(keys, at + 65_536)))
const artifact = (n) => join(directory, `artifact-${n}`)
const exported = async (n) => {
  const { files } = await exportSnapshot(fold, artifact(n), { layout: 'records' })
  payloadBytes = files[0].size
}
await measured('export', async () => exported(0))
await measured('upload of all', async () => publishArtifact(artifact(0), store, 'fold'))
await measured('download of all', async () => downloadArtifact(store, 'fold', join(directory, 'down-0')))
await rm(artifact(0), { recursive: true })

const spread = new Set()
for (let draw = 0; spread.size < changed; draw++)
  spread.add(createHash('md5').update(`key ${draw}`).digest().readUInt32LE() % keys)
const from = Math.floor(keys / 3)
for (const { n, what, keys: which } of [
  { n: 1, what: 'spread', keys: [...spread] },
  { n: 2, what: 'side by side', keys: range(from, from + changed) },
]) {
  await change(fold, which)
  await exportSnapshot(fold, artifact(n), { layout: 'records' })
  await measured(`upload, 1 % ${what}`, async () => publishArtifact(artifact(n), store, 'fold'))
  await rm(artifact(n), { recursive: true })
  const previous = join(directory, `down-${n - 1}`)
  await measured(`download, 1 % ${what}`, async () =>
    downloadArtifact(store, 'fold', join(directory, `down-${n}`), { previous }),
  )
  await rm(previous, { recursive: true })
}
await measured('download by a newcomer', async () =>
  downloadArtifact(store, 'fold', join(directory, 'newcomer')),
)
await rm(join(directory, 'objects'), { recursive: true })
const into = lmdb({ path: join(directory, 'in') })
await measured('import into LMDB', async () =>
  importSnapshot(join(directory, 'newcomer'), into, { scratchDirectory: directory }),
)
const copy = await into.open()
if (!copy.cursor.equals(fold.cursor) || copy.stats.entries !== fold.stats.entries)
  throw new Error('the newcomer has another fold')
for (const key of [0, from, [...spread][0]].map((each) => `key.${String(each).padStart(12, '0')}`))
  if (Buffer.compare(copy.get(key).value, fold.get(key).value) !== 0) throw new Error(`${key} differs`)
await copy.close()
await fold.close()
const payload = join(directory, 'newcomer/data/fold.records')
await measureFloors(measured, payload, directory)
