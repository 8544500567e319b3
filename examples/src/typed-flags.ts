// Feature flags as typed values: `parse` decodes and filters, `apply` keeps a Map in step, and the fold
// on disk makes a restart cheap. Runs with the packages alone and ends by itself.
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { follow, type KvUpdate } from '@slip/kv-core'
import { memoryBucket, MemoryConnection } from '@slip/memory'
import { appendLog } from '@slip/store-applog'

interface Flag {
  readonly name: string
  readonly enabled: boolean | undefined
}

function parseFlag(update: KvUpdate): Flag | undefined {
  const name = update.key.replace(/^flag\./, '')
  if (update.operation !== 'put') return { name, enabled: undefined }
  const text = new TextDecoder().decode(update.value)
  // A value nobody here understands is kept in the fold, but not handed to `apply`.
  return text === 'on' || text === 'off' ? { name, enabled: text === 'on' } : undefined
}

const connection = new MemoryConnection()
const bucket = await connection.store('config', {})
await bucket.writer?.put('flag.new-checkout', 'on')
await bucket.writer?.put('flag.dark-mode', 'off')
await bucket.writer?.put('flag.broken', 'perhaps')
await bucket.writer?.put('limit.requests', '100')

const flags = new Map<string, boolean>()
const fold = await follow({
  source: memoryBucket(connection, 'config'),
  scope: { prefix: 'flag.' },
  store: appendLog({ path: join(await mkdtemp(join(tmpdir(), 'slip-')), 'flags.slip') }),
  parse: parseFlag,
  apply: (batch) => {
    for (const { name, enabled } of batch) {
      if (enabled === undefined) flags.delete(name)
      else flags.set(name, enabled)
    }
  },
})
await fold.caughtUp()
console.log([...flags])

const written = await bucket.writer?.put('flag.dark-mode', 'on')
if (written !== undefined) await fold.waitFor(written, { timeoutMs: 5_000 })
console.log('dark-mode is', flags.get('dark-mode') === true ? 'on' : 'off')

await fold.close()
await connection.close()
