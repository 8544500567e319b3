import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { NatsConnection } from '@slip/nats'
import { startNatsServer } from '@slip/nats-server'
import { controlStalls, median, saidStalls, type Stalls } from '../measure.ts'
import { keyOf, valueOf } from '../workload.ts'

const CHILD = fileURLToPath(new URL('../follow-child.js', import.meta.url))
const ROUNDS = 3
/** The server writes what it acknowledged in the background: it is left alone for so long. */
const SETTLE_MS = 3_000

interface Followed {
  readonly ms: number
  readonly cpuMs: number
  readonly stalls: Stalls
}

/** R1 and its growth: following buckets of n/4, n/2 and n keys takes time linear in their size. R7 beside it. */
export async function followRows(keys: number): Promise<void> {
  await using server = await startNatsServer({ version: '2.12' })
  const control = await controlStalls(1_500)
  const sizes = [keys / 4, keys / 2, keys].map(Math.floor)
  const written = new Map<number, number>()
  for (const count of sizes) written.set(count, await write(server.url, count))
  await wait(SETTLE_MS)
  const followed = new Map<number, Followed[]>(sizes.map((count) => [count, []]))
  for (let round = 0; round < ROUNDS; round++)
    for (const count of sizes) followed.get(count)!.push(await followInChild(server.url, count))
  let before: number | undefined
  for (const count of sizes) {
    const runs = followed.get(count)!
    const ms = median(runs.map((run) => run.ms))
    const cpuMs = median(runs.map((run) => run.cpuMs))
    const [middle, ...others] = byWork(runs)
    const growth =
      before === undefined ? '' : `, ${(ms / before).toFixed(2)} times the time for twice the keys`
    process.stdout.write(
      `R1   follow a bucket of ${count} keys: ${(ms / 1e3).toFixed(2)} s, ${(count / ms).toFixed(0)} k/s, ${((cpuMs * 1e3) / count).toFixed(1)} us of CPU a key${growth}  |  ${saidStalls(middle!)} beside ${control.p99Ms.toFixed(1)} ms idle (the middle of ${ROUNDS} runs; work in the others ${others.map((run) => run.longestWorkMs.toFixed(1)).join(', ')} ms)  |  R7 bulk write ${(count / written.get(count)!).toFixed(0)} k/s\n`,
    )
    before = ms
  }
}

/** The run in the middle by its longest slice first: a slice of ours is there in each, a processor taken away in one. */
function byWork(runs: readonly Followed[]): Stalls[] {
  const sorted = runs.map((run) => run.stalls).sort((a, b) => a.longestWorkMs - b.longestWorkMs)
  const [middle] = sorted.splice(sorted.length >> 1, 1)
  return [middle!, ...sorted]
}

/** Milliseconds. */
async function write(servers: string, count: number): Promise<number> {
  await using connection = await NatsConnection.connect({ servers })
  const bucket = await connection.store(`bench-${count}`, { history: 1 })
  const from = performance.now()
  for await (const outcome of bucket.writer.bulk(puts(count))) if ('error' in outcome) throw outcome.error
  return performance.now() - from
}

async function followInChild(servers: string, count: number): Promise<Followed> {
  const directory = await mkdtemp(join(tmpdir(), 'slip-bench-'))
  const path = join(directory, 'fold.slip')
  try {
    const child = fork(CHILD, [`bench-${count}`, servers, path, String(count)])
    const [message] = (await once(child, 'message')) as [Followed]
    await once(child, 'exit')
    return message
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

function* puts(count: number): Generator<{ operation: 'put'; key: string; value: Uint8Array }> {
  for (let i = 0; i < count; i++) yield { operation: 'put', key: keyOf(i), value: valueOf(i) }
}
