import { WatchCursor, type KvUpdate } from '@slip/kv-core'
import { describe, expect, test } from 'vitest'

import { World } from './session-fixture.ts'
import { atLeast, natsServerOrSkip, SERVER_MATRIX } from '@slip/nats-server'

for (const version of SERVER_MATRIX) {
  const { skip } = await natsServerOrSkip(version)
  const hasTtl = atLeast(version, '2.11')

  describe.skipIf(skip)(`updates of a watch on nats-server ${version}`, () => {
    test('puts, deletes, purges and empty values say what they are', async () => {
      await using world = await World.create(version)
      const reader = await world.read().untilCaughtUp()
      // Each is seen before the next: the bucket keeps one of a key, and a purge takes away what was not delivered yet.
      for (const [i, write] of [
        async (): Promise<unknown> => world.bucket.put('a', 'one'),
        async (): Promise<unknown> => world.bucket.delete('a'),
        async (): Promise<unknown> => world.bucket.put('a', 'two'),
        async (): Promise<unknown> => world.bucket.purge('a'),
        async (): Promise<unknown> => world.bucket.put('e', ''),
      ].entries()) {
        await write()
        await reader.until(`update ${i + 1}`, () => reader.updates.length > i)
      }
      await world.publish('h', 'value', { 'Some-Header': 'x', 'Nats-TTL': 'nonsense' }).catch(() => undefined)
      const seen = reader.updates.map((update) => [update.operation, update.key, update.version.revision])
      expect(seen.slice(0, 5)).toEqual([
        ['put', 'a', 1n],
        ['delete', 'a', 2n],
        ['put', 'a', 3n],
        ['purge', 'a', 4n],
        ['delete', 'e', 5n],
      ])
      expect(reader.updates[4]).toMatchObject({ reason: 'tombstone' })
      expect(reader.updates[1]).not.toHaveProperty('reason')
      expect(reader.updates[0]).not.toHaveProperty('expiresAtMs')
    })

    test('an empty value is a put where the caller keeps empty values', async () => {
      await using world = await World.create(version)
      await world.publish('e', '')
      await world.bucket.delete('d')
      const reader = await world.read('all', { emptyValues: 'keep' }).untilCaughtUp()
      expect(reader.updates.map(({ operation, key }) => [operation, key])).toEqual([
        ['put', 'e'],
        ['delete', 'd'],
      ])
    })

    test('a value is plain bytes of its own, headers or not', async () => {
      await using world = await World.create(version)
      await world.publish('plain', Uint8Array.of(0, 255, 13, 10))
      await world.publish('headed', Uint8Array.of(1, 2), { 'X-Trace': 'abc' })
      const reader = await world.read().untilCaughtUp()
      const values = reader.updates.map((update) => (update.operation === 'put' ? update.value : undefined))
      expect(values).toEqual([Uint8Array.of(0, 255, 13, 10), Uint8Array.of(1, 2)])
      expect(values.every((value) => Object.getPrototypeOf(value) === Uint8Array.prototype)).toBe(true)
    })

    test('a resume delivers exactly what came after the cursor', async () => {
      await using world = await World.create(version)
      await world.load(numbered('k.', 500), 'old')
      await world.load(numbered('k.', 17), 'new')
      const reader = await world.read('all', { after: WatchCursor.fromRevision(500n) }).untilCaughtUp()
      expect(reader.updates.map((update) => update.version.revision)).toEqual(
        Array.from({ length: 17 }, (_, i) => BigInt(501 + i)),
      )
      await reader.stop()
      const nothing = await world.read('all', { after: WatchCursor.fromRevision(517n) }).untilCaughtUp()
      expect(nothing.updates).toEqual([])
      expect(nothing.bookmark).toBe(517n)
    })

    test('a cursor that is no position, or above the end, is refused with its own code', async () => {
      await using world = await World.create(version)
      await world.load(numbered('k.', 10), 'v')
      const end = async (after: WatchCursor) => (await world.read('all', { after }).end()).code
      expect(await end(WatchCursor.fromRevision(0xffff_ffff_ffff_ffffn))).toBe('CursorExpired')
      expect(await end(WatchCursor.fromBytes(Uint8Array.of(1, 2, 3)))).toBe('CursorExpired')
      expect(await end(WatchCursor.fromRevision(0xffff_ffff_ffff_fffen))).toBe('BucketRolledBack')
      expect(await end(WatchCursor.fromRevision(11n))).toBe('BucketRolledBack')
    })

    test('a start the server would move up is CursorExpired where the bucket evicts, and fine where it only overwrites', async () => {
      await using world = await World.create(version)
      await world.load(numbered('k.', 10), 'v')
      await world.load(numbered('k.', 10), 'w')
      const after = WatchCursor.fromRevision(3n)
      const overwritten = await world.read('all', { after }).untilCaughtUp()
      expect(overwritten.keys).toHaveLength(10)
      await overwritten.stop()
      await world.manager.streams.update('KV_b', { max_age: 3_600_000_000_000 })
      expect((await world.read('all', { after }).end()).code).toBe('CursorExpired')
      const watcher = world.watcher()
      expect(await watcher.describe('all')).toMatchObject({ evictsCurrentValues: true, firstRevision: 11n })
      const judged = await world.read('all', { after }, watcher).untilCaughtUp()
      expect(judged.keys).toHaveLength(10)
      const update = judged.updates[0]!
      expect(update.operation === 'put' && update.expiresAtMs! - Date.now()).toBeGreaterThan(3_500_000)
    })

    test('describe states the identity, the range and the count of the bucket', async () => {
      await using world = await World.create(version)
      await world.load(numbered('a.', 30), 'v')
      await world.load(numbered('a.', 3), 'v')
      await world.bucket.delete('a.7')
      const { created } = await world.manager.streams.info('KV_b')
      const watcher = world.watcher()
      const whole = {
        kind: 'nats',
        name: 'b',
        firstRevision: 4n,
        lastRevision: 34n,
        evictsCurrentValues: false,
      }
      const all = await watcher.describe('all')
      expect(all).toMatchObject({ ...whole, keyCount: 30n })
      expect(new Date(all.incarnation!).getTime()).toBe(new Date(created).getTime())
      expect(await watcher.describe({ prefixes: ['a.', 'c.'] })).toMatchObject({ ...whole, keyCount: 30n })
      expect(await watcher.describe({ prefix: 'a' })).not.toHaveProperty('keyCount')
      await expect.poll(() => world.consumerCount(), { timeout: 2_000 }).toBe(0)
    })

    test.skipIf(!hasTtl)(
      'a key that expires is a delete with its reason, and a put says when it will',
      async () => {
        await using world = await World.create(version, { markerTTL: 60_000 })
        const before = Date.now()
        const reader = await world.read().untilCaughtUp()
        await world.bucket.create('lease', 'held', '1s')
        await world.publish('hour', 'v', { 'Nats-TTL': '1h' })
        await world.publish('never', 'v', { 'Nats-TTL': 'never' })
        await reader.until('the expiry', () => reader.updates.length >= 4)
        const [lease, hour, never, expired] = reader.updates
        const lifeMs = (update: KvUpdate | undefined) =>
          update?.operation === 'put' ? update.expiresAtMs! - before : undefined
        expect(lifeMs(lease)).toBeGreaterThanOrEqual(1_000 - 50)
        expect(lifeMs(lease)).toBeLessThan(4_000)
        expect(lifeMs(hour)).toBeGreaterThan(3_599_000)
        expect(never).not.toHaveProperty('expiresAtMs')
        expect(expired).toMatchObject({
          operation: 'delete',
          key: 'lease',
          reason: 'expired',
          version: expect.anything(),
        })
      },
    )
  })
}

function* numbered(before: string, count: number): Generator<string> {
  for (let i = 0; i < count; i++) yield `${before}${i}`
}
