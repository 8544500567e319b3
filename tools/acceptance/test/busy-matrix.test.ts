import { setTimeout as wait } from 'node:timers/promises'
import { countFrom, FollowerWorld, SCOPES, untilStatus, type ScopeName } from '@slip/acceptance'
import type { WatchScope } from '@slip/kv-core'
import { natsServerOrSkip, SERVER_MATRIX } from '@slip/nats-server'
import { describe, expect, test } from 'vitest'

const AUDIT_INTERVAL_MS = 500
const BUDGET_MS = AUDIT_INTERVAL_MS + 1_000
const BUSY_MS = countFrom('SLIP_BUSY_MS', 4_000)
/** So that a false alarm that comes now and then comes. */
const FREQUENTLY_MS = 100
const TIMES = 4
const SCOPE_NAMES: readonly ScopeName[] = ['all', 'prefix', 'prefixes']
const GROUPS = ['route', 'cert', 'node']

for (const version of SERVER_MATRIX) {
  const { skip } = await natsServerOrSkip(version)

  describe.skipIf(skip).concurrent(`under a writer that never stops, nats-server ${version}`, () => {
    for (const name of SCOPE_NAMES) {
      const scope = SCOPES[name]

      test(`${name}: no audit cries wolf`, { timeout: 60_000 + BUSY_MS }, async () => {
        await using world = await busyWorld(version)
        await using writer = new BusyWriter(world)
        const followed = await caughtUp(world, scope, FREQUENTLY_MS)
        await wait(BUSY_MS)
        await writer.stop()
        await world.untilRight(followed, scope)
        expect(followed.events.map(({ state }) => state)).not.toContain('resyncing')
      })

      test(`${name}: audits succeed, or the status says that they do not`, { timeout: 60_000 }, async () => {
        await using world = await busyWorld(version)
        await using writer = new BusyWriter(world)
        const followed = await caughtUp(world, scope, AUDIT_INTERVAL_MS)
        for (let i = 0; i < TIMES; i++) {
          const from = followed.status.appliedCursor.revision!
          await untilStatus(
            followed,
            `verified beyond ${from}`,
            ({ verifiedThrough, unverified }) =>
              unverified.includes('count') || (verifiedThrough !== undefined && verifiedThrough > from),
            2 * BUDGET_MS,
          )
        }
        await writer.stop()
        await world.untilRight(followed, scope)
      })

      test(
        `${name}: keys that vanish are missed in time, or the status says that it cannot count`,
        { timeout: 60_000 },
        async () => {
          await using world = await busyWorld(version)
          await using writer = new BusyWriter(world)
          const followed = await caughtUp(world, scope, AUDIT_INTERVAL_MS)
          for (let i = 0; i < TIMES; i++) {
            const from = followed.events.length
            await world.bucket.purge(`route.still-${i}`)
            await untilStatus(
              followed,
              'repairing',
              ({ unverified }) =>
                unverified.includes('count') || followed.events.slice(from).some(isCountRepair),
              BUDGET_MS,
            )
            await untilStatus(followed, 'live', ({ state }) => state === 'live', BUDGET_MS)
          }
          await writer.stop()
          await world.untilRight(followed, scope)
        },
      )
    }
  })
}

type Followed = ReturnType<FollowerWorld['followed']>

function isCountRepair({ state, reason }: Followed['events'][number]): boolean {
  return state === 'resyncing' && reason === 'countMismatch'
}

async function caughtUp(world: FollowerWorld, scope: WatchScope, auditIntervalMs: number): Promise<Followed> {
  const followed = world.followed({}, scope, { auditIntervalMs })
  await followed.start()
  await followed.follower.caughtUp({ timeoutMs: 10_000 })
  return followed
}

async function busyWorld(
  version: Parameters<typeof FollowerWorld.start>[0]['version'],
): Promise<FollowerWorld> {
  const world = await FollowerWorld.start({ version })
  for (const group of GROUPS) for (let i = 0; i < 50; i++) await world.bucket.put(`${group}.${i}`, 'first')
  for (let i = 0; i < TIMES; i++) await world.bucket.put(`route.still-${i}`, 'first')
  return world
}

/** Puts, overwrites and deletes, a few hundred a second. */
class BusyWriter implements AsyncDisposable {
  #over = false
  readonly #writing: Promise<void>

  constructor(world: FollowerWorld) {
    this.#writing = this.#write(world)
  }

  async stop(): Promise<void> {
    this.#over = true
    await this.#writing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  async #write({ bucket }: FollowerWorld): Promise<void> {
    for (let i = 0; !this.#over; i++) {
      // New keys all the time, old ones again, deletes of both.
      const key = `${GROUPS[i % GROUPS.length]}.${i % 2 === 0 ? i : i % 83}`
      if (i % 7 === 0) await bucket.delete(key)
      else await bucket.put(key, `${i}`)
      await wait(1)
    }
  }
}
