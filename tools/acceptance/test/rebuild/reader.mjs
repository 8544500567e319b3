import { setImmediate as turn } from 'node:timers/promises'
import { LmdbReader } from '@slip/store-lmdb'

// Reads a fold that another process builds anew, as fast as it can, until a second after the swap.
const [path, leaving, changing, keys] = process.argv.slice(2)
const AFTERWARDS_MS = 1_000

const reader = await LmdbReader.open({ path })
const seen = { mixed: 0, back: 0, duringRebuild: 0 }
let isRebuilding = false
let swappedAt = Infinity
process.on('message', () => (isRebuilding = true))
const oldValue = textOf()
process.send({ reading: true })
for (let looks = 1; performance.now() < swappedAt + AFTERWARDS_MS; looks++) {
  reader.refresh()
  const isOld = reader.has(leaving)
  const isWhole = reader.stats.entries === (isOld ? Number(keys) : Number(keys) - 1)
  if (!isWhole || isOld !== (textOf() === oldValue)) seen.mixed++
  if (isOld && swappedAt < Infinity) seen.back++
  if (isOld && isRebuilding) seen.duringRebuild++
  if (!isOld) swappedAt = Math.min(swappedAt, performance.now())
  if (looks % 32 === 0) await turn()
}
await reader.close()
process.send({ seen })
process.disconnect()

function textOf() {
  return Buffer.from(reader.get(changing)?.value ?? []).toString()
}
