import { setTimeout as wait } from 'node:timers/promises'

import { jetstreamManager } from '@nats-io/jetstream'
import { Kvm } from '@nats-io/kv'
import { connect } from '@nats-io/transport-node'
import { natsServerOrSkip, startCluster } from '@slip/nats-server'
import { describe, expect, test } from 'vitest'

import { createNatsWatcher } from '../src/session/watcher.ts'
import { contextOf, Reader } from './session-fixture.ts'

const VERSION = '2.12'
const KEYS = 3_000
const { skip } = await natsServerOrSkip(VERSION)

describe.skipIf(skip)(`a watch of a bucket with three replicas on nats-server ${VERSION}`, () => {
  test(
    'is caught up on nothing, misses no acknowledged write, and lives through a change of leader',
    { timeout: 120_000 },
    async () => {
      await using cluster = await startCluster({ version: VERSION })
      const connection = await connect({ servers: cluster.urls, maxReconnectAttempts: -1, timeout: 10_000 })
      await whenReady(() => jetstreamManager(connection))
      await whenReady(() => new Kvm(connection).create('b', { history: 1, replicas: 3 }))
      const readers: Reader[] = []
      const read = (node: number) => {
        const reader = connect({ servers: cluster.urls[node]! }).then(
          (own) => new Reader(createNatsWatcher(contextOf(own, 'b')), 'all', {}),
        )
        return reader.then((opened) => (readers.push(opened), opened))
      }
      for (let node = 0; node < 3; node++) {
        const reader = await (await read(node)).untilCaughtUp()
        expect(reader.updates).toEqual([])
      }
      let acknowledged = 0n
      for (let i = 0; i < KEYS; i += 100) {
        const acks = await Promise.all(
          Array.from({ length: 100 }, (_, j) =>
            connection.request(`$KV.b.key.${i + j}`, 'v', { timeout: 10_000 }),
          ),
        )
        for (const ack of acks) {
          const { seq } = ack.json<{ seq: number }>()
          if (BigInt(seq) > acknowledged) acknowledged = BigInt(seq)
        }
      }
      for (let node = 0; node < 3; node++) {
        const late = await (await read(node)).untilCaughtUp()
        const ready = late.batches.findIndex(({ batch }) => batch.caughtUp)
        const keys = new Set(
          late.batches.slice(0, ready + 1).flatMap(({ batch }) => batch.updates.map(({ key }) => key)),
        )
        expect(keys.size).toBe(KEYS)
      }
      await connection.request('$JS.API.STREAM.LEADER.STEPDOWN.KV_b', '', { timeout: 10_000 })
      await wait(6_000)
      for (const reader of readers) {
        expect(reader.ended).toBeUndefined()
        expect(new Set(reader.keys).size).toBe(KEYS)
        expect(reader.bookmark).toBe(acknowledged)
        await reader.stop()
      }
      await connection.close()
    },
  )
})

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
