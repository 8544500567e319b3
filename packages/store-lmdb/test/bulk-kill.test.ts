import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { LmdbSnapshot, verifyLmdb } from '@slip/store-lmdb'
import { expect, test } from 'vitest'
import { BATCH, batchAt } from './bulk-history.mjs'
import { layersOf, shown, stateOf } from './flooded.ts'
import { at, scratch, seededRandom } from './scratch.ts'

const CHILD = fileURLToPath(new URL('bulk-child.mjs', import.meta.url))
const COUNT = Number(process.env['SLIP_BULK_ENTRIES'] ?? 100_000)
const KILLS = Number(process.env['SLIP_BULK_KILLS'] ?? 6)

test(`${COUNT} keys in random order, killed with -9 ${KILLS} times while they arrive and are merged: it goes on where it was`, async () => {
  const path = join(await scratch(), 'fold')
  const random = seededRandom('bulk kill -9')
  const bulk = { fromEntries: 4_000, batchUpdates: 100, runBytes: 400_000, calmMs: 600_000 }
  const total = COUNT / BATCH
  const run = async (until: (line: string) => boolean, delayMs: number): Promise<string[]> => {
    const durability = random(2) === 0 ? 'os' : 'batch'
    const child = spawn(process.execPath, [CHILD, path, durability, `${COUNT}`, JSON.stringify(bulk)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let said = ''
    await new Promise<void>((resolve) => {
      child.on('close', () => resolve())
      child.stdout.on('data', (chunk: Buffer) => {
        said += chunk.toString()
        if (said.slice(0, said.lastIndexOf('\n')).split('\n').some(until)) resolve()
      })
    })
    await new Promise((resolve) => setTimeout(resolve, delayMs))
    if (child.exitCode === null) {
      child.kill('SIGKILL')
      await once(child, 'close')
    }
    return said.slice(0, said.lastIndexOf('\n')).split('\n')
  }
  let acknowledged = 0
  for (let kill = 1; kill <= KILLS; kill++) {
    // The last two are killed after the last batch, in the merge.
    const merging = kill > KILLS - 2
    const target = merging ? total : Math.floor((total * kill) / KILLS)
    const lines = await run(
      (line) => (merging ? line === 'all' : Number(line) >= target),
      random(merging ? 150 : 20),
    )
    acknowledged = Math.max(acknowledged, ...lines.map(Number).filter((number) => number >= 0))
    expect(await verifyLmdb(path), `kill ${kill}`).toMatchObject({ verdict: 'intact' })
    const store = await LmdbSnapshot.open({ path, durability: 'os', bulk })
    const revision = Number(store.cursor.revision ?? 0n)
    expect(revision, `kill ${kill}`).toBeGreaterThanOrEqual(acknowledged)
    expect(Buffer.from(store.lineage!).toString()).toBe(`${revision}`)
    const updates = Array.from({ length: revision }, (_, i) => batchAt(i + 1, COUNT)).flat()
    const { live, deleted } = stateOf(updates)
    expect(store.stats).toMatchObject({ entries: live.length, deletedKeys: deleted.length })
    for (let i = 0; i < 1_000; i++) {
      const [key, value] = live[random(live.length)]!
      expect(Buffer.from(store.get(key)!.value).toString(), key).toBe(value)
    }
    await store.close()
  }
  await run((line) => line === 'merged', 0)
  // Removes what the child, which was killed, left beside the merged file.
  await (await LmdbSnapshot.open({ path, durability: 'os', bulk })).close()
  expect(await layersOf(path)).toBeUndefined()
  const store = await LmdbSnapshot.open({ path, durability: 'os', bulk })
  const { live, deleted } = stateOf(Array.from({ length: total }, (_, i) => batchAt(i + 1, COUNT)).flat())
  expect(shown(store)).toEqual(live)
  expect([...store.deletedKeys()].map(({ key }) => key)).toEqual(deleted)
  expect(store.cursor.equals(at(total))).toBe(true)
  await store.close()
  console.log(`${KILLS} kills, ${acknowledged} batches acknowledged before the last, ${live.length} entries`)
}, 300_000)
