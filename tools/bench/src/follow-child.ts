import { follow } from '@slip/kv-core'
import { natsBucket } from '@slip/nats'
import { appendLog } from '@slip/store-applog'
import { stallsOf } from './measure.ts'

// One follow of a whole bucket in a fresh process: what earlier work left behind does not count.
const [bucket, servers, path, expected] = process.argv.slice(2) as [string, string, string, string]
const before = process.cpuUsage()
let ms = 0
const stalls = await stallsOf(async () => {
  const from = performance.now()
  const fold = await follow({ source: natsBucket(bucket, { servers }), store: appendLog({ path }) })
  await fold.caughtUp()
  ms = performance.now() - from
  if (fold.status.entries !== Number(expected))
    throw new Error(`${fold.status.entries} of ${expected} entries`)
  await fold.close()
})
const { user, system } = process.cpuUsage(before)
process.send?.({ ms, cpuMs: (user + system) / 1e3, stalls })
process.disconnect()
process.exit(0)
