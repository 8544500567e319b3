import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { LmdbSnapshot, verifyLmdb } from '@slip/store-lmdb'
import { expect, test } from 'vitest'
import { scratch, seededRandom } from './scratch.ts'

const CHILD = fileURLToPath(new URL('kill-child.mjs', import.meta.url))
const CYCLES = Number(process.env['SLIP_CYCLES'] ?? 30)

test.each(['batch', 'os'] as const)(
  `durability %s: killed with -9 ${CYCLES} times while it writes, the fold is the exact prefix`,
  async (durability) => {
    const path = join(await scratch(), 'fold')
    const random = seededRandom('kill -9')
    let acknowledged = 0
    for (let cycle = 1; cycle <= CYCLES; cycle++) {
      acknowledged = Math.max(acknowledged, await killSoon(path, durability, 5 + random(120)))
      expect(await verifyLmdb(path), `cycle ${cycle}`).toMatchObject({ verdict: 'intact' })
      const store = await LmdbSnapshot.open({ path, durability })
      const revision = Number(store.cursor.revision ?? 0n)
      expect(revision, `cycle ${cycle}`).toBeGreaterThanOrEqual(acknowledged)
      expect(Buffer.from(store.lineage ?? []).toString()).toBe(`${revision}`)
      const found = [...store.entries()].map(({ key, value }) => [key, Buffer.from(value).toString()])
      const { live, deleted } = stateAt(revision)
      expect(found, `cycle ${cycle}, at ${revision}`).toEqual(live)
      expect([...store.deletedKeys()].map(({ key }) => key)).toEqual(deleted)
      expect(store.stats).toMatchObject({ entries: live.length, deletedKeys: deleted.length })
      await store.close()
    }
    console.log(`durability ${durability}: ${CYCLES} kills, ${acknowledged} batches acknowledged`)
    expect(acknowledged).toBeGreaterThan(CYCLES)
    expect((await readdir(path)).sort()).toEqual(['CURRENT', 'fold-00000001.mdb', 'fold-00000001.mdb-lock'])
  },
  60_000 + CYCLES * 10_000,
)

/** Runs the writer until some time after its first word, kills it; the last batch it acknowledged. */
async function killSoon(path: string, durability: string, ms: number): Promise<number> {
  const child = spawn(process.execPath, [CHILD, path, durability], { stdio: ['ignore', 'pipe', 'inherit'] })
  let said = ''
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString()
  })
  await once(child.stdout, 'data')
  await sleep(ms)
  child.kill('SIGKILL')
  await once(child, 'close')
  const whole = said.slice(0, said.lastIndexOf('\n')).split('\n')
  return Number(whole.at(-1))
}

function stateAt(revision: number): { live: [string, string][]; deleted: string[] } {
  const state = new Map<string, string>()
  const deleted = new Set<string>()
  for (let i = 1; i <= revision; i++) {
    const value = Buffer.alloc(100 + (i % 50), `${i}`).toString()
    for (let j = 0; j < 8; j++) {
      state.set(`k${(i * 8 + j) % 400}`, value)
      deleted.delete(`k${(i * 8 + j) % 400}`)
    }
    if (i % 5 !== 0) continue
    state.delete(`k${i % 400}`)
    deleted.add(`k${i % 400}`)
  }
  return { live: [...state].sort(([a], [b]) => (a < b ? -1 : 1)), deleted: [...deleted].sort() }
}
