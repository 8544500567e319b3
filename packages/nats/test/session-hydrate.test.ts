import { setTimeout as wait } from 'node:timers/promises'

import { describe, expect, test } from 'vitest'

import { stateOf, World } from './session-fixture.ts'
import { natsServerOrSkip, SERVER_MATRIX } from '@slip/nats-server'

const SERVERS = await Promise.all(
  SERVER_MATRIX.map(async (version) => ({ version, ...(await natsServerOrSkip(version)) })),
)
const KEYS = 20_000
/** A machine with other work reads a few thousand messages a second. */
const CAUGHT_UP_WITHIN_MS = 60_000
const BURST = 200
const WINDOW_BYTES = 32 * 1024 * 1024

for (const { version, skip } of SERVERS) {
  describe.skipIf(skip)(`hydration on nats-server ${version}`, () => {
    test(
      `${KEYS} keys under a writer: at caught up the state lacks nothing`,
      { timeout: 240_000 },
      async () => {
        await using world = await World.create(version)
        const keys = Array.from({ length: KEYS }, (_, i) => `key.${i}`)
        await world.load(keys, 'x'.repeat(200))
        await whileLoading(world, keys, async () => {
          for (let round = 0; round < 3; round++) {
            const reader = await world.read().untilCaughtUp(CAUGHT_UP_WITHIN_MS)
            const ready = reader.batches.findIndex(({ batch }) => batch.caughtUp)
            const state = stateOf(reader.batches.slice(0, ready + 1).flatMap(({ batch }) => batch.updates))
            expect(keys.filter((key) => !state.has(key)).length).toBe(0)
            expect(reader.batches.filter(({ batch }) => batch.caughtUp)).toHaveLength(1)
            await reader.stop()
          }
        })
        const last = BigInt(await world.lastSequence())
        const reader = await world.read().untilCaughtUp(CAUGHT_UP_WITHIN_MS)
        await reader.until('the end', () => reader.bookmark === last)
        expectOrdered(reader.updates.map((update) => update.version.revision!))
        expect(reader.state.size).toBe(KEYS)
      },
    )
  })
}

describe.concurrent('a slow reader', () => {
  for (const { version, skip } of SERVERS)
    test.skipIf(skip)(
      `of nats-server ${version} holds the server back, and still gets everything`,
      { timeout: 60_000 },
      async () => {
        await using world = await World.create(version)
        const count = 50_000
        await world.load(
          Array.from({ length: count }, (_, i) => `key.${i}`),
          'x'.repeat(1_024),
        )
        const watcher = world.watcher()
        const reader = world.read('all', {}, watcher)
        reader.pause = () => wait(500)
        await wait(3_500)
        expect(reader.ended).toBeUndefined()
        const received = reader.updates.length
        expect(received).toBeLessThan(count)
        reader.pause = () => undefined
        await reader.untilCaughtUp(20_000)
        expect(reader.keys).toHaveLength(count)
        await reader.stop()
        console.log(
          `nats-server ${version}: at most ${(watcher.stats.peakQueuedBytes / 1e6).toFixed(1)} MB queued, ${received} of ${count} read in the slow phase`,
        )
        expect(watcher.stats.peakQueuedBytes).toBeLessThan(WINDOW_BYTES + 1_000_000)
      },
    )
})

function expectOrdered(revisions: readonly bigint[]): void {
  for (let i = 1; i < revisions.length; i++) expect(revisions[i]! > revisions[i - 1]!).toBe(true)
}

/**
 * Overwrites the keys until `work` is done, half of the time: a writer that always has messages under way
 * takes a slow machine's server so far that it answers no question within seconds.
 */
async function whileLoading(world: World, keys: readonly string[], work: () => Promise<void>): Promise<void> {
  const writing = { on: true }
  const writer = (async () => {
    for (let i = 0; writing.on; i += BURST) {
      const beganMs = performance.now()
      const burst = Array.from({ length: BURST }, (_, j) => keys[((i + j) * 7919) % keys.length]!)
      await world.load(burst, 'y'.repeat(200))
      await wait(performance.now() - beganMs)
    }
  })()
  try {
    await work()
  } finally {
    writing.on = false
    await writer
  }
}
