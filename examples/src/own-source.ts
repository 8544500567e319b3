// A source of your own: anything that can list its state and then report changes in order. Here a list of
// files stands in for it. The follow loop, the cursor and the store are the same as with NATS.
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { follow, VersionToken, WatchCursor, type KvUpdate, type KvWatcher } from '@slip/kv-core'
import { appendLog } from '@slip/store-applog'

const history: KvUpdate[] = ['a.conf', 'b.conf', 'c.conf'].map((key, i) => ({
  operation: 'put',
  key,
  value: new TextEncoder().encode(`contents of ${key}`),
  version: VersionToken.fromRevision(BigInt(i + 1)),
}))

const watcher: KvWatcher = {
  describe: async () => ({ kind: 'files', name: 'etc', lastRevision: BigInt(history.length) }),
  async *watch(_scope, { after, signal }) {
    const from = Number(after?.revision ?? 0n)
    yield {
      updates: history.slice(from),
      bookmark: WatchCursor.fromRevision(BigInt(history.length)),
      caughtUp: true,
    }
    await new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
    })
  },
}

const path = join(await mkdtemp(join(tmpdir(), 'slip-')), 'etc.slip')
for (const run of ['first', 'second']) {
  const fold = await follow({ source: async () => ({ name: 'etc', watcher }), store: appendLog({ path }) })
  await fold.caughtUp()
  console.log(`${run} run: ${fold.status.entries} entries, ${fold.status.delivered} delivered`)
  await fold.close()
}
