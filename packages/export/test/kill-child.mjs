// node --import ./kill-preload.mjs kill-child.mjs WORK FROM TO: says how many calls the work made.
import { directoryObjects, downloadArtifact, exportSnapshot, importSnapshot } from '@slip/export'
import { appendLog, appendLogPayload } from '@slip/store-applog'
import { lmdb, lmdbPayload } from '@slip/store-lmdb'
import { dirname } from 'node:path'

const [work, from, to] = process.argv.slice(2)
const PLACES = { log: (path) => appendLog({ path }), lmdb: (path) => lmdb({ path }) }
const [what, backend, kind] = work.split(':')

if (what === 'import') {
  const into = PLACES[backend](to)
  globalThis.slipCalls.arm()
  await importSnapshot(from, into, {
    scratchDirectory: dirname(to),
    formats: [appendLogPayload, lmdbPayload],
  })
} else if (what === 'download') {
  const objects = directoryObjects(from)
  globalThis.slipCalls.arm()
  await downloadArtifact(objects, 'routes', to, { formats: [appendLogPayload, lmdbPayload] })
} else {
  const store = await PLACES[backend](from).open()
  globalThis.slipCalls.arm()
  await exportSnapshot(store, to, kind === 'interchange' ? { interchange: 1 } : {})
}
process.stdout.write(`${globalThis.slipCalls.count()}\n`, () => process.exit(0))
