import { setTimeout as wait } from 'node:timers/promises'

import { connect } from '@nats-io/transport-node'
import { Kvm } from '@nats-io/kv'
import { WatchCursor } from '@slip/kv-core'
import { describe, expect, test } from 'vitest'

import { ClientReceivePath, type ReceivePath } from '../src/session/receive-path.ts'
import { createNatsWatcher } from '../src/session/watcher.ts'
import { contextOf, World } from './session-fixture.ts'
import { natsServerOrSkip, SERVER_MATRIX } from '@slip/nats-server'

for (const version of SERVER_MATRIX) {
  const { skip } = await natsServerOrSkip(version)

  describe.skipIf(skip)(`faults under a watch on nats-server ${version}`, { concurrent: true }, () => {
    test('a deleted consumer ends the session, and the next one goes on, within a second', async () => {
      await using world = await World.create(version)
      const times: number[] = []
      for (let i = 0; i < 3; i++) {
        const reader = await world.read().untilCaughtUp()
        await wait(200 * i)
        const deletedAt = performance.now()
        expect(await world.deleteConsumers()).toBe(1)
        const { code, error } = await reader.end(3_000)
        expect([code, String(error)]).toEqual(['Unreachable', expect.stringContaining('is gone')])
        const next = await world
          .read('all', { after: WatchCursor.fromRevision(reader.bookmark) })
          .untilCaughtUp()
        times.push(performance.now() - deletedAt)
        await next.stop()
      }
      console.log(
        `nats-server ${version}: deleted consumer, next session caught up after ${times.map((ms) => ms.toFixed(0)).join(', ')} ms`,
      )
      expect(Math.min(...times)).toBeLessThan(1_000)
    })

    test('a deleted bucket is BucketNotFound', async () => {
      await using world = await World.create(version)
      const reader = await world.read().untilCaughtUp()
      await world.manager.streams.delete('KV_b')
      expect((await reader.end(5_000)).code).toBe('BucketNotFound')
      expect((await world.read().end()).code).toBe('BucketNotFound')
      await expect(world.watcher().describe('all')).rejects.toMatchObject({ code: 'BucketNotFound' })
    })

    test('a bucket recreated under a session, or since it was described, is BucketRecreated', async () => {
      await using world = await World.create(version)
      await world.load(['a', 'b', 'c'], 'old')
      const watcher = world.watcher()
      await watcher.describe('all')
      const reader = await world.read('all', {}, watcher).untilCaughtUp()
      await world.manager.streams.delete('KV_b')
      world.bucket = await new Kvm(world.writing).create('b', { history: 1 })
      await world.load(['x', 'y', 'z', 'u', 'v'], 'new')
      const { code } = await reader.end(8_000)
      expect(code).toBe('BucketRecreated')
      expect(reader.keys).toEqual(['a', 'b', 'c'])
      expect((await world.read('all', { after: WatchCursor.fromRevision(3n) }, watcher).end()).code).toBe(
        'BucketRecreated',
      )
      await watcher.describe('all')
      expect((await world.read('all', {}, watcher).untilCaughtUp()).keys).toEqual(['x', 'y', 'z', 'u', 'v'])
    })

    test('a bucket that ends before what a session saw is BucketRolledBack', async () => {
      await using world = await World.create(version)
      await world.load(['a', 'b', 'c'], 'v')
      const after = WatchCursor.fromRevision(3n)
      const reader = await world.read('all', { after }).untilCaughtUp()
      await reader.stop()
      expect((await world.read('all', { after: WatchCursor.fromRevision(4n) }).end()).code).toBe(
        'BucketRolledBack',
      )
    })

    test(
      'a killed server ends the session at once, and the next one resumes with nothing lost or repeated',
      { timeout: 60_000 },
      async () => {
        await using world = await World.create(version)
        const revisions: bigint[] = []
        const values = new Set<string>()
        for (let round = 0; round < 3; round++) {
          const after = revisions.at(-1) ?? 0n
          const reader = await world.read('all', { after: WatchCursor.fromRevision(after) }).untilCaughtUp()
          for (let i = 0; i < 50; i++) {
            await world.publish(`k.${round}.${i}`, 'v')
            values.add(`k.${round}.${i}`)
          }
          const last = BigInt(await world.lastSequence())
          await reader.until('all of this round', () => reader.bookmark >= last)
          const killedAt = performance.now()
          await world.server.kill()
          const { code, at } = await reader.end(5_000)
          expect(code).toBe('Unreachable')
          expect(at - killedAt).toBeLessThan(2_000)
          for (const update of reader.updates) revisions.push(update.version.revision!)
          await world.server.restart()
          await world.reconnected()
        }
        expect(revisions).toEqual(Array.from({ length: 150 }, (_, i) => BigInt(i + 1)))
      },
    )

    test(
      'a frozen server gives no sign of life, and ends the session before five seconds',
      { timeout: 60_000 },
      async () => {
        await using world = await World.create(version)
        await world.load(['a', 'b'], 'v')
        const reader = await world.read().untilCaughtUp()
        await wait(700)
        world.server.freeze()
        const frozenAt = performance.now()
        const { code, at } = await reader.end(8_000)
        expect(code).toBe('Unreachable')
        expect(at - frozenAt).toBeLessThan(5_000)
        const lastSign = Math.max(...reader.batches.map((batch) => batch.at))
        expect(lastSign - frozenAt).toBeLessThan(600)
        console.log(`nats-server ${version}: frozen, session ended after ${(at - frozenAt).toFixed(0)} ms`)
        world.server.thaw()
        await world.publish('c', 'v')
        expect((await world.read().untilCaughtUp()).keys).toEqual(['a', 'b', 'c'])
      },
    )

    test('a message lost on the way ends the session: by the next message, or by the next heartbeat', async () => {
      await using world = await World.create(version)
      const lossy = new LossyPath(new ClientReceivePath(world.reading))
      const reader = await world.read('all', {}, world.watcher(lossy)).untilCaughtUp()
      await world.publish('a', '1')
      await reader.until('a', () => reader.keys.includes('a'))
      lossy.lose = 1
      await world.publish('b', '2')
      const lost = await reader.end(3_000)
      expect(String(lost.error)).toContain('2 sent, 1 received')
      const second = await world.read('all', {}, world.watcher(lossy)).untilCaughtUp()
      lossy.lose = 1
      await Promise.all([world.publish('c', '3'), world.publish('d', '4')])
      const gap = await second.end(3_000)
      expect(gap.code).toBe('Unreachable')
      expect(String(gap.error)).toMatch(/number 4 came where 3 was due|4 sent, 2 received/)
      expect(second.keys).toEqual(['a', 'b'])
      const third = await world
        .read('all', { after: WatchCursor.fromRevision(second.bookmark) })
        .untilCaughtUp()
      expect(third.keys).toEqual(['c', 'd'])
    })

    test('closing the connection ends the session with Closed', async () => {
      await using world = await World.create(version)
      const own = await connect({ servers: world.server.url })
      const reader = await world.read('all', {}, createNatsWatcher(contextOf(own, 'b'))).untilCaughtUp()
      await own.close()
      expect((await reader.end()).code).toBe('Closed')
    })
  })
}

/** Drops as many of the next deliveries as it is told to. */
class LossyPath implements ReceivePath {
  lose = 0
  readonly #inner: ReceivePath

  constructor(inner: ReceivePath) {
    this.#inner = inner
  }

  subscribe(
    ...[subject, handlers]: Parameters<ReceivePath['subscribe']>
  ): ReturnType<ReceivePath['subscribe']> {
    return this.#inner.subscribe(subject, {
      ended: (error) => handlers.ended(error),
      message: (messageSubject, reply, headers, payload) => {
        const delivery = reply !== undefined && Buffer.from(reply).toString('latin1').startsWith('$JS.ACK.')
        if (delivery && this.lose > 0) this.lose--
        else handlers.message(messageSubject, reply, headers, payload)
      },
    })
  }

  answer(subject: string): void {
    this.#inner.answer(subject)
  }
}
