import { setTimeout as wait } from 'node:timers/promises'

import { jetstreamManager } from '@nats-io/jetstream'
import { Kvm } from '@nats-io/kv'
import { connect } from '@nats-io/transport-node'
import { KvError, WatchCursor, type KvUpdate, type KvWatcher, type ListedKey } from '@slip/kv-core'
import { NatsConnection, natsConnect } from '@slip/nats'
import { natsServerOrSkip, startCluster, type NatsCluster } from '@slip/nats-server'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { createNatsWatcher } from '../src/session/watcher.ts'
import { whileOverwriting } from './overwriting.ts'
import { contextOf, Reader } from './session-fixture.ts'

const VERSION = '2.12'
const KEYS = Array.from({ length: 3_000 }, (_, i) => `key.${i}`)
const { skip } = await natsServerOrSkip(VERSION)

describe.skipIf(skip)(`buckets with three replicas on nats-server ${VERSION}`, { timeout: 120_000 }, () => {
  let cluster: NatsCluster
  beforeAll(async () => {
    cluster = await startCluster({ version: VERSION })
  })
  afterAll(() => cluster[Symbol.asyncDispose]())

  test('a watch is caught up on nothing, misses no acknowledged write, and lives through a change of leader', async () => {
    const connection = await connect({ servers: cluster.urls, maxReconnectAttempts: -1, timeout: 10_000 })
    await whenReady(() => jetstreamManager(connection))
    await whenReady(() => new Kvm(connection).create('b', { history: 1, replicas: 3 }))
    const readers: Reader[] = []
    const read = async (node: number) => {
      const own = await connect({ servers: cluster.urls[node]! })
      const reader = new Reader(createNatsWatcher(contextOf(own, 'b')), 'all', {})
      readers.push(reader)
      return await reader.untilCaughtUp(20_000)
    }
    for (let node = 0; node < 3; node++) expect((await read(node)).updates).toEqual([])
    const acks = await Promise.all(
      KEYS.map(async (key) => await connection.request(`$KV.b.${key}`, 'v', { timeout: 20_000 })),
    )
    expect(Math.max(...acks.map((ack) => ack.json<{ seq: number }>().seq))).toBe(KEYS.length)
    for (let node = 0; node < 3; node++) expect(missing(await read(node))).toEqual([])
    await connection.request('$JS.API.STREAM.LEADER.STEPDOWN.KV_b', '', { timeout: 10_000 })
    // Longer than a session waits until it asks again whether the stream is the same.
    await wait(5_500)
    for (const reader of readers) {
      expect(reader.ended).toBeUndefined()
      expect(new Set(reader.keys).size).toBe(KEYS.length)
      expect(reader.bookmark).toBe(BigInt(KEYS.length))
      await reader.stop()
    }
    await connection.close()
  })

  test('what existed is there when a watch says caught up, and in every listing, under writers', async () => {
    const subjects = KEYS.map((key) => `$KV.b.${key}`)
    await whileOverwriting(cluster.nodes[0]!, subjects, async () => {
      for (const node of cluster.nodes) {
        const own = await connect({ servers: node.url })
        for (const scope of ['all', { prefix: 'key.' }] as const) {
          const reader = await new Reader(createNatsWatcher(contextOf(own, 'b')), scope, {}).untilCaughtUp(
            20_000,
          )
          expect(missing(reader)).toEqual([])
          await reader.stop()
        }
        const { reader } = await NatsConnection.from(own).store('b')
        const before = (await NatsConnection.from(own).bucketInfo('b')).lastRevision
        const listing = reader.keys()
        expect((await collect(listing)).map(({ key }) => key).sort()).toEqual([...KEYS].sort())
        expect((await listing.validAt).revision).toBeGreaterThanOrEqual(BigInt(before))
        await own.close()
      }
    })
  })

  test('a listing from a replica is complete while nobody writes, also of a scope without keys', async () => {
    for (const node of cluster.nodes) {
      await using connection = await NatsConnection.connect({ servers: node.url })
      const { reader } = await connection.store('b')
      expect(await collect(reader.keys())).toHaveLength(KEYS.length)
      expect(await collect(reader.keys('none.'))).toEqual([])
    }
  })

  test('the leader killed under a live watch: it goes on from its cursor, nothing lost, nothing twice', async () => {
    await using connection = await NatsConnection.connect({ servers: cluster.urls, timeoutMs: 3_000 })
    const store = await whenReady(() => connection.store('killed', { replicas: 3 }))
    const leader = await leaderOf(cluster)
    // It learns of the other nodes from this one.
    await using watching = await NatsConnection.connect({ servers: leader.url, timeoutMs: 3_000 })
    const { watcher } = await watching.store('killed')
    const follower = new ResumingFollower(watcher)
    const acknowledged = new Set<string>()
    const writing = { on: true }
    const writer = (async () => {
      for (let i = 0; writing.on; i++) {
        const key = `k.${i}`
        await store.writer.put(key, 'v').then(
          () => acknowledged.add(key),
          () => wait(20),
        )
      }
    })()
    await expect.poll(() => follower.updates.length, { timeout: 10_000 }).toBeGreaterThan(200)
    await leader.kill()
    const atKill = acknowledged.size
    await expect.poll(() => acknowledged.size, { timeout: 30_000 }).toBeGreaterThan(atKill + 200)
    await leader.restart()
    writing.on = false
    await writer
    const listed = await whenReady(() => collect(store.reader.keys()))
    await expect.poll(() => follower.updates.length, { timeout: 20_000 }).toBe(listed.length)
    await follower.stop()
    const revisions = follower.updates.map(({ version }) => version.revision!)
    expect(revisions).toEqual(listed.map(({ version }) => version.revision!))
    expect(new Set(revisions).size).toBe(revisions.length)
    const keys = new Set(follower.updates.map(({ key }) => key))
    expect([...acknowledged].filter((key) => !keys.has(key))).toEqual([])
    expect(follower.ends.length).toBeGreaterThan(0)
    expect(follower.ends.every((code) => code === 'Unreachable' || code === 'Timeout')).toBe(true)
  })
})

/** Watches, and when a session ends watches again from the cursor. */
class ResumingFollower {
  readonly updates: KvUpdate[] = []
  readonly ends: string[] = []
  readonly #abort = new AbortController()
  readonly #done: Promise<void>

  constructor(watcher: KvWatcher) {
    this.#done = this.#run(watcher)
  }

  async #run(watcher: KvWatcher): Promise<void> {
    const { signal } = this.#abort
    let after: WatchCursor = WatchCursor.none
    while (!signal.aborted)
      try {
        for await (const { updates, bookmark } of watcher.watch('all', { after, signal })) {
          this.updates.push(...updates)
          after = bookmark ?? after
        }
      } catch (error) {
        if (signal.aborted) return
        this.ends.push(KvError.is(error) ? error.code : String(error))
        await wait(100)
      }
  }

  async stop(): Promise<void> {
    this.#abort.abort()
    await this.#done
  }
}

/** The node that leads the stream of bucket `killed`. */
async function leaderOf(cluster: NatsCluster): Promise<NatsCluster['nodes'][0]> {
  const client = await natsConnect({ servers: cluster.urls })
  const { cluster: state } = await (await jetstreamManager(client)).streams.info('KV_killed')
  await client.close()
  return cluster.nodes[Number(state!.leader!.replace('node-', '')) - 1]!
}

function missing(reader: Reader): string[] {
  const ready = reader.batches.findIndex(({ batch }) => batch.caughtUp)
  const seen = new Set(
    reader.batches.slice(0, ready + 1).flatMap(({ batch }) => batch.updates.map(({ key }) => key)),
  )
  return KEYS.filter((key) => !seen.has(key))
}

async function collect(items: AsyncIterable<ListedKey>): Promise<ListedKey[]> {
  const collected: ListedKey[] = []
  for await (const item of items) collected.push(item)
  return collected
}

/** A cluster takes a while until it has elected whom it asks. */
async function whenReady<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await work()
    } catch (error) {
      if (attempt === 100) throw error
      await wait(200)
    }
  }
}
