import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { countFrom, runSeed, SeededRandom } from '@slip/acceptance'
import { jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { follow, type Follower, type FollowState, type KvStore, type KvUpdate } from '@slip/kv-core'
import { natsBucket, NatsConnection } from '@slip/nats'
import { natsServerOrSkip, SERVER_MATRIX, startNatsServer } from '@slip/nats-server'
import { appendLog } from '@slip/store-applog'
import { describe, expect, test } from 'vitest'

const RESTARTS = countFrom('SLIP_RESTARTS', 4)
const FREEZE_MS = countFrom('SLIP_FREEZE_MS', 8_000)

for (const version of SERVER_MATRIX) {
  const { skip } = await natsServerOrSkip(version)

  describe.skipIf(skip)(`nats-server ${version}`, () => {
    test(
      `killed and restarted ${RESTARTS} times under a live follower: nothing lost, duplicated or reordered`,
      { timeout: 60_000 + RESTARTS * 8_000 },
      async () => {
        const random = new SeededRandom(runSeed())
        await using world = await World.create(version)
        const stop = new AbortController()
        const writer = world.writeUntil(stop.signal)
        for (let i = 0; i < RESTARTS; i++) {
          await wait(200 + random.below(600))
          await world.server.kill()
          await wait(random.below(300))
          await world.server.restart()
        }
        await wait(300)
        stop.abort()
        await world.expectAllApplied(await writer)
      },
    )

    test(
      'the consumer deleted under a live follower: deliveries go on in under a second',
      { timeout: 60_000 },
      async () => {
        await using world = await World.create(version)
        const first = await world.write(20)
        await world.expectAllApplied(first)
        const times: number[] = []
        for (let i = 0; i < 3; i++) {
          await world.deleteConsumers()
          const deletedAt = performance.now()
          const written = await world.write(5)
          for (const entry of written) first.set(...entry)
          await world.expectAllApplied(first)
          times.push(performance.now() - deletedAt)
        }
        console.log(
          `nats-server ${version}: recovered from a deleted consumer in ${times.map((ms) => ms.toFixed(0)).join(', ')} ms`,
        )
        expect(Math.min(...times)).toBeLessThan(1_000)
      },
    )

    test(
      'the stream deleted and recreated under a live follower: an announced rebuild, and only the new history',
      { timeout: 60_000 },
      async () => {
        await using world = await World.create(version)
        await world.expectAllApplied(await world.write(30))
        await world.recreateBucket()
        const written = await world.write(7)
        await world.untilReason('bucketRecreated', 10_000)
        await world.untilState('live', 10_000)
        await world.untilRevision([...written.values()].reduce((a, b) => (a > b ? a : b)))
        expect([...world.follower.keys()].sort()).toEqual([...written.keys()].sort())
        const removed = world.applied.filter(
          (update) => update.operation === 'delete' && update.reason === 'resync',
        )
        expect(removed).toHaveLength(30)
      },
    )
  })
}

describe.concurrent('a server that stands still', async () => {
  for (const version of SERVER_MATRIX) {
    const { skip } = await natsServerOrSkip(version)

    describe.skipIf(skip)(`nats-server ${version}`, () => {
      test(
        `frozen for ${FREEZE_MS} ms: stale within 5 s, then back with everything`,
        { timeout: 90_000 },
        async () => {
          await using world = await World.create(version)
          const first = await world.write(50)
          await world.expectAllApplied(first)
          const frozenAt = performance.now()
          world.server.freeze()
          const staleAt = await world.untilState('stale', 10_000)
          expect(staleAt - frozenAt).toBeLessThan(5_000 + 700)
          await wait(Math.max(0, FREEZE_MS - (performance.now() - frozenAt)))
          world.server.thaw()
          await world.untilState('live', 15_000)
          const second = await world.write(50)
          await world.expectAllApplied(new Map([...first, ...second]))
        },
      )
    })
  }
})

/** A server, a bucket, and a live follower that records what was applied. */
class World implements AsyncDisposable {
  readonly applied: KvUpdate[] = []
  readonly reasons: string[] = []
  readonly states: { state: FollowState; at: number }[] = []
  follower!: Follower
  server!: Awaited<ReturnType<typeof startNatsServer>>
  #connection!: NatsConnection
  #bucket!: KvStore
  #directory!: string
  #next = 0

  static async create(version: string): Promise<World> {
    const world = new World()
    world.server = await startNatsServer({ version })
    world.#connection = await NatsConnection.connect({ servers: world.server.url })
    world.#bucket = await world.#connection.store('config', { history: 1 })
    world.#directory = await mkdtemp(join(tmpdir(), 'slip-acceptance-'))
    world.follower = await follow({
      source: natsBucket('config', { servers: world.server.url }),
      store: appendLog({ path: join(world.#directory, 'config.slip') }),
      apply: (batch) => void world.applied.push(...batch),
    })
    world.follower.onStatus(({ state, reason }) => {
      world.states.push({ state, at: performance.now() })
      if (reason !== undefined) world.reasons.push(reason)
    })
    await world.follower.caughtUp({ timeoutMs: 15_000 })
    return world
  }

  /** Unique keys, each written again until the server says it has it. */
  async write(count: number): Promise<Map<string, bigint>> {
    const written = new Map<string, bigint>()
    for (let i = 0; i < count; i++) {
      const key = `key.${this.#next++}`
      for (;;) {
        try {
          written.set(key, (await this.#bucket.writer!.put(key, key, { timeoutMs: 1_000 })).revision!)
          break
        } catch {
          await wait(50)
        }
      }
    }
    return written
  }

  async writeUntil(signal: AbortSignal): Promise<Map<string, bigint>> {
    const written = new Map<string, bigint>()
    while (!signal.aborted) for (const entry of await this.write(5)) written.set(...entry)
    return written
  }

  /** Every acknowledged write was applied; nothing was applied twice or out of order. */
  async expectAllApplied(written: Map<string, bigint>): Promise<void> {
    const last = [...written.values()].reduce((a, b) => (a > b ? a : b), 0n)
    await this.untilRevision(last)
    const revisions = this.applied.map((update) => update.version.revision!)
    for (let i = 1; i < revisions.length; i++)
      expect(revisions[i]! > revisions[i - 1]!, `${revisions[i - 1]} then ${revisions[i]}`).toBe(true)
    const applied = new Set(this.applied.map((update) => update.key))
    expect([...written.keys()].filter((key) => !applied.has(key))).toEqual([])
    for (const key of written.keys()) expect(this.follower.has(key)).toBe(true)
  }

  async untilRevision(revision: bigint): Promise<void> {
    await this.follower.waitFor(revision, { timeoutMs: 30_000 })
  }

  async untilState(state: FollowState, timeoutMs: number): Promise<number> {
    const from = performance.now()
    while (performance.now() - from < timeoutMs) {
      if (this.follower.status.state === state) return performance.now()
      await wait(10)
    }
    throw new Error(`not ${state} within ${timeoutMs} ms but ${this.follower.status.state}`)
  }

  async untilReason(reason: string, timeoutMs: number): Promise<void> {
    const from = performance.now()
    while (!this.reasons.includes(reason)) {
      if (performance.now() - from > timeoutMs)
        throw new Error(`no ${reason} within ${timeoutMs} ms: ${this.reasons.join(', ')}`)
      await wait(10)
    }
  }

  async deleteConsumers(): Promise<void> {
    const connection = await connect({ servers: this.server.url })
    const manager = await jetstreamManager(connection)
    for await (const { name } of manager.consumers.list('KV_config'))
      await manager.consumers.delete('KV_config', name)
    await connection.close()
  }

  async recreateBucket(): Promise<void> {
    await this.#connection.deleteBucket('config')
    this.#bucket = await this.#connection.store('config', { history: 1 })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.follower.close().catch(() => undefined)
    await this.#connection.close()
    await this.server[Symbol.asyncDispose]()
    await rm(this.#directory, { recursive: true, force: true })
  }
}
