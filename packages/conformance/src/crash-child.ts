import { argv, stdout } from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import type { SnapshotLocation } from '@slip/kv-core'
import { CRASH_BATCH, crashHistory } from './crash-history.ts'
import { at } from './updates.ts'

const [moduleUrl, path, seed, total] = argv.slice(2) as [string, string, string, string]

const loaded = (await import(moduleUrl)) as { readonly default: (path: string) => SnapshotLocation }
const store = await loaded.default(path).open()
const history = crashHistory(Number(seed), Number(total))

for (let i = Number(store.cursor.revision ?? 0n); i < history.length; i += CRASH_BATCH) {
  await store.apply(history.slice(i, i + CRASH_BATCH), at(i + CRASH_BATCH))
  if (i % (CRASH_BATCH * 7) === 0) await store.sync()
  stdout.write(`${i + CRASH_BATCH} ${store.durableCursor.revision ?? 0n}\n`)
}
// Stay, holding the lock, until the parent kills this process.
for (;;) await sleep(1_000)
