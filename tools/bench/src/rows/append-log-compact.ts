import { join } from 'node:path'
import type { AppendLogSnapshot } from '@slip/store-applog'
import { copyFile } from '../floors.ts'
import { controlStalls, saidStalls, stallsOf } from '../measure.ts'
import { print } from '../report.ts'

/** L8: compaction, and what it does to the event loop beside a process that does nothing. */
export async function compactRow(
  store: AppendLogSnapshot,
  path: string,
  directory: string,
  count: number,
): Promise<void> {
  const control = await controlStalls(1_500)
  const residentBefore = process.memoryUsage().rss
  let ms = 0
  const stalls = await stallsOf(async () => {
    const from = performance.now()
    await store.compact()
    ms = performance.now() - from
  })
  const grown = (process.memoryUsage().rss - residentBefore) / 1e6
  print({
    id: 'L8',
    what: `compaction of ${count}`,
    ours: ms,
    unit: 'ms',
    floor: copyFile(path, join(directory, 'copy.bin')),
    floorIs: 'the same bytes copied and synced',
    note: `${saidStalls(stalls)} beside ${control.p99Ms.toFixed(1)} ms idle, memory +${grown.toFixed(0)} MB`,
  })
}
