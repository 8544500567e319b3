import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { AppendLogSnapshot } from '../src/append-log-snapshot.ts'
import { scratch, seededRandom } from './scratch.ts'

const CHILD = fileURLToPath(new URL('kill-child.mjs', import.meta.url))
const CYCLES = Number(process.env['SLIP_CYCLES'] ?? 10)

test.each([2, 3] as const)(
  `generation %i: killed with -9 ${CYCLES} times while it writes and compacts, the log is the exact prefix`,
  async (format) => {
    const directory = await scratch()
    const path = join(directory, 'log')
    const random = seededRandom('kill -9')
    let acknowledged = 0
    for (let cycle = 1; cycle <= CYCLES; cycle++) {
      acknowledged = Math.max(acknowledged, await killSoon(path, format, 5 + random(120)))
      const store = await AppendLogSnapshot.open({ path, format })
      const revision = Number(store.cursor.revision ?? 0n)
      expect(revision, `cycle ${cycle}`).toBeGreaterThanOrEqual(acknowledged)
      const found = [...store.entries()].map(({ key, value }) => [key, Buffer.from(value).toString()])
      expect(found, `cycle ${cycle}, at ${revision}`).toEqual(stateAt(revision))
      expect(await readdir(directory)).not.toContain('log.compacting')
      await store.close()
    }
    console.log(`generation ${format}: ${CYCLES} kills, ${acknowledged} batches acknowledged`)
    expect(acknowledged).toBeGreaterThan(CYCLES)
  },
  60_000 + CYCLES * 3_000,
)

/** Runs the writer until some time after its first word, kills it; the last batch it acknowledged. */
async function killSoon(path: string, format: number, ms: number): Promise<number> {
  const child = spawn(process.execPath, [CHILD, path, String(format)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
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

function stateAt(revision: number): [string, string][] {
  const state = new Map<string, string>()
  for (let i = 1; i <= revision; i++) {
    const value = Buffer.alloc(100 + (i % 50), `${i}`).toString()
    for (let j = 0; j < 8; j++) state.set(`k${(i * 8 + j) % 400}`, value)
    if (i % 5 === 0) state.delete(`k${i % 400}`)
  }
  return [...state].sort(([a], [b]) => (a < b ? -1 : 1))
}
