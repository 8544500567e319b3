// A routing table from a real bucket: `node examples/dist/routes-on-nats.js nats://127.0.0.1:4222 routes`.
// Reads work from disk at once; ctrl-c finishes the batch in hand and makes it durable.
import { follow } from '@slip/kv-core'
import { natsBucket } from '@slip/nats'
import { appendLog } from '@slip/store-applog'

const [servers = 'nats://127.0.0.1:4222', bucket = 'routes'] = process.argv.slice(2)
const stop = new AbortController()
process.once('SIGINT', () => stop.abort())

const fold = await follow({
  source: natsBucket(bucket, { servers, create: { history: 1 } }),
  store: appendLog({ path: `${bucket}.slip` }),
  signal: stop.signal,
})
fold.onStatus(({ state, reason, lag }) =>
  console.error(state, reason ?? '', lag === undefined ? '' : `${lag} behind`),
)
console.log(`${fold.status.entries} entries from disk`)

try {
  for await (const change of fold.changes({ signal: stop.signal })) console.log(change.operation, change.key)
} catch (error) {
  if (!stop.signal.aborted) throw error
}
await fold.close()
