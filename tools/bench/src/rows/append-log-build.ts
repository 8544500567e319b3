import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { WatchCursor } from '@slip/kv-core'
import { AppendLogSnapshot } from '@slip/store-applog'
import { encodeAndWrite, syncedWrite } from '../floors.ts'
import { inTurns } from '../measure.ts'
import { print } from '../report.ts'
import { batches } from '../workload.ts'

/** L4 and L5: apply of fresh keys in batches of 1,024; leaves a log of `count` entries behind and returns its path. */
export async function buildRows(directory: string, count: number): Promise<string> {
  const path = join(directory, 'bench.slip')
  // Making the updates is the benchmark's cost, not the store's: it is measured alone and taken off.
  const making = (): number => {
    const from = performance.now()
    let seen = 0
    for (const batch of batches(count)) seen += batch.length
    return seen === count ? performance.now() - from : Number.NaN
  }
  const makeMs = Math.min(making(), making())
  const floorMs = encodeAndWrite(join(directory, 'floor.bin'), count)
  const from = performance.now()
  const store = await AppendLogSnapshot.open({ path })
  let applied = 0
  for (const batch of batches(count)) {
    applied += batch.length
    await store.apply(batch, WatchCursor.fromRevision(BigInt(applied)))
  }
  const applyMs = performance.now() - from - makeMs
  await store.close()
  const { size } = await stat(path)
  print({
    id: 'L4',
    what: `apply ${count} updates, batches of 1,024`,
    ours: (applyMs * 1e3) / count,
    unit: 'us an update',
    floor: (floorMs * 1e3) / count,
    floorIs: 'keys and values laid out, one write a batch',
    note: `${(size / count).toFixed(0)} B a record in the file`,
  })
  await durableRow(directory)
  return path
}

async function durableRow(directory: string): Promise<void> {
  const rounds = 60
  const store = await AppendLogSnapshot.open({ path: join(directory, 'durable.slip'), durability: 'batch' })
  let applied = 0
  const source = [...batches(rounds * 3 * 1_024)]
  const times = await inTurns(3, {
    ours: async () => {
      const from = performance.now()
      for (let i = 0; i < rounds; i++) {
        const batch = source.shift()!
        applied += batch.length
        await store.apply(batch, WatchCursor.fromRevision(BigInt(applied)))
      }
      return (performance.now() - from) / rounds
    },
    floor: () => syncedWrite(join(directory, 'synced.bin'), 275_000, rounds),
  })
  await store.close()
  print({
    id: 'L5',
    what: 'durable apply of 1,024',
    ours: times.ours,
    unit: 'ms a batch',
    floor: times.floor,
    floorIs: 'one write and fdatasync of as many bytes',
  })
}
