import { Kvm } from '@nats-io/kv'
import { connect } from '@nats-io/transport-node'
import { createNatsWatcher } from '../src/session/watcher.ts'
import { describe, expect, test } from 'vitest'

import { contextOf, World } from './session-fixture.ts'

const KEYS = Number(process.env.SLIP_RATE_KEYS ?? 0)
const ROUNDS = 5

describe.skipIf(KEYS === 0)('the rate of hydration', () => {
  test(`${KEYS} keys of 200 B: sessions beside the stock watch, in turns`, { timeout: 600_000 }, async () => {
    await using world = await World.create(process.env.SLIP_RATE_SERVER ?? '2.12')
    const keys = Array.from(
      { length: KEYS },
      (_, i) => `route.eu-west-${i % 7}.service-${i % 1000}.${i}.abcdefgh`,
    )
    await world.load(keys, 'x'.repeat(200))
    const results = { ours: [] as Run[], stock: [] as Run[] }
    for (let round = 0; round < ROUNDS; round++) {
      results.ours.push(await measured(() => hydrateOurs(world)))
      results.stock.push(await measured(() => hydrateStock(world)))
    }
    const ours = median(results.ours)
    const stock = median(results.stock)
    console.log(
      `hydration of ${KEYS} keys: session ${rate(ours)}, stock watch ${rate(stock)}: ` +
        `${(stock.ms / ours.ms).toFixed(2)} times the rate, ${(ours.cpuMs / stock.cpuMs).toFixed(2)} of the CPU`,
    )
  })
})

interface Run {
  readonly ms: number
  readonly cpuMs: number
}

async function hydrateOurs(world: World): Promise<void> {
  const connection = await connect({ servers: world.server.url })
  const watcher = createNatsWatcher(contextOf(connection, 'b'))
  const abort = new AbortController()
  const map = new Map<string, Uint8Array>()
  for await (const { updates, caughtUp } of watcher.watch('all', { signal: abort.signal })) {
    for (const update of updates) if (update.operation === 'put') map.set(update.key, update.value)
    if (caughtUp) break
  }
  expect(map.size).toBe(KEYS)
  await connection.close()
}

async function hydrateStock(world: World): Promise<void> {
  const connection = await connect({ servers: world.server.url })
  const bucket = await new Kvm(connection).open('b')
  const map = new Map<string, Uint8Array>()
  for await (const entry of await bucket.watch()) {
    map.set(entry.key, entry.value)
    if (map.size === KEYS) break
  }
  expect(map.size).toBe(KEYS)
  await connection.close()
}

async function measured(work: () => Promise<void>): Promise<Run> {
  const from = performance.now()
  const before = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(before)
  return { ms: performance.now() - from, cpuMs: (user + system) / 1_000 }
}

function median(runs: readonly Run[]): Run {
  const middle = (pick: (run: Run) => number) => runs.map(pick).sort((a, b) => a - b)[runs.length >> 1]!
  return { ms: middle((run) => run.ms), cpuMs: middle((run) => run.cpuMs) }
}

function rate({ ms, cpuMs }: Run): string {
  return `${(KEYS / ms).toFixed(0)} k/s (${((cpuMs * 1_000) / KEYS).toFixed(2)} µs of CPU a key)`
}
