import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { WatchCursor } from '@slip/kv-core'
import { AppendLogSnapshot } from '@slip/store-applog'
import { buildRows } from './rows/append-log-build.ts'
import { compactRow } from './rows/append-log-compact.ts'
import { loadRows } from './rows/append-log-load.ts'
import { readRows } from './rows/append-log-read.ts'
import { followRows } from './rows/follow-linear.ts'
import { batches } from './workload.ts'

const { values } = parseArgs({
  options: {
    entries: { type: 'string', default: '1000000' },
    follow: { type: 'boolean', default: true },
    'no-follow': { type: 'boolean', default: false },
  },
})
const count = Number(values.entries)
const directory = await mkdtemp(join(tmpdir(), 'slip-bench-'))
process.stdout.write(
  `Node ${process.version}, ${count} entries; every row beside its floor, measured in this run\n`,
)
try {
  const path = await buildRows(directory, count)
  const generation2 = join(directory, 'generation2.slip')
  const old = await AppendLogSnapshot.open({ path: generation2, format: 2, compact: false })
  let applied = 0
  for (const batch of batches(count, 65_536)) {
    applied += batch.length
    await old.apply(batch, WatchCursor.fromRevision(BigInt(applied)))
  }
  await old.compact()
  await old.close()
  await loadRows(path, generation2, count)
  const store = await AppendLogSnapshot.open({ path })
  await readRows(store, count)
  await compactRow(store, path, directory, count)
  await store.close()
  if (values.follow && !values['no-follow']) await followRows(count)
} finally {
  await rm(directory, { recursive: true, force: true })
}
