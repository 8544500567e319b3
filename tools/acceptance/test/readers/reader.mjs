import { setImmediate as turn } from 'node:timers/promises'
import { ComputedHistory } from '@slip/acceptance'
import { LmdbReader } from '@slip/store-lmdb'

// Reads a computed history as fast as it can until it is told to stop, and checks every read against the
// cursor it was made at. `pin`: reads once, and keeps what it sees.
const [path, keys, mode] = process.argv.slice(2)
const GETS = 16
const SCANNED = 50
const SCAN_EVERY = 64

const history = new ComputedHistory(Number(keys))
const reader = await LmdbReader.open({ path })
const said = { reads: 0, refreshes: 0, commits: 0, mostBehind: 0, wrong: [] }
const stop = new AbortController()
let last = Number(reader.cursor.revision)
let state = process.pid
process.on('message', () => stop.abort())
process.send({ reading: true })
while (!stop.signal.aborted) {
  if (mode !== 'pin') look()
  if (mode === 'pin' || said.refreshes % 32 === 0) await turn()
}
await reader.close()
process.send({ said })
process.disconnect()

function look() {
  const cursor = Number(reader.refresh().revision)
  if (cursor < last) said.wrong.push(`went back from ${last} to ${cursor}`)
  if (cursor > last) said.commits++
  // So many commits could give no page back.
  said.mostBehind = Math.max(said.mostBehind, cursor - last)
  last = cursor
  said.refreshes++
  for (let i = 0; i < GETS; i++) {
    const index = random(history.keys)
    check(index, reader.get(history.key(index))?.value, cursor)
  }
  if (said.refreshes % SCAN_EVERY === 0) scan(random(history.keys - SCANNED), cursor)
}

function scan(from, cursor) {
  const found = new Map()
  for (const { key, value } of reader.range('key.', {
    gte: history.key(from),
    lt: history.key(from + SCANNED),
  }))
    found.set(key, value)
  for (let index = from; index < from + SCANNED; index++) check(index, found.get(history.key(index)), cursor)
}

function check(index, found, cursor) {
  said.reads++
  const expected = history.valueAt(index, cursor)
  const same = expected === undefined ? found === undefined : found !== undefined && expected.equals(found)
  if (!same && said.wrong.length < 5)
    said.wrong.push(`${history.key(index)} at ${cursor}: ${textOf(found)}, not ${textOf(expected)}`)
}

function textOf(bytes) {
  return bytes === undefined ? 'nothing' : Buffer.from(bytes).toString().slice(0, 12)
}

function random(below) {
  state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
  return (state >>> 8) % below
}
