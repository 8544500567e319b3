import { LmdbReader } from '@slip/store-lmdb'

// Reads whole commits as fast as it can for some time, and says how many, how far, and what was wrong.
const [path, ms] = process.argv.slice(2)
const reader = await LmdbReader.open({ path })
const until = Date.now() + Number(ms)
const said = { views: 0, cursors: 0, last: 0, wrong: [] }
process.stdout.write('reading\n')
while (Date.now() < until) {
  const cursor = Number(reader.refresh().revision ?? 0n)
  if (cursor < said.last) said.wrong.push(`went back from ${said.last} to ${cursor}`)
  if (cursor > said.last) said.cursors++
  said.last = cursor
  for (const { key, value } of reader.range('k'))
    if (Number(Buffer.from(value).toString()) !== cursor) said.wrong.push(`${key} at ${cursor}`)
  if (reader.get('k3') === undefined && cursor > 0) said.wrong.push(`no k3 at ${cursor}`)
  said.views++
  if (said.views % 64 === 0) await new Promise((resolve) => setImmediate(resolve))
}
await reader.close()
process.stdout.write(`${JSON.stringify(said)}\n`)
