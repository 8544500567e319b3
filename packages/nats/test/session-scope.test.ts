import { describe, expect, test } from 'vitest'

import { World } from './session-fixture.ts'
import { natsServerOrSkip, SERVER_MATRIX } from '@slip/nats-server'

for (const version of SERVER_MATRIX) {
  const { skip } = await natsServerOrSkip(version)

  describe.skipIf(skip)(`scopes of a watch on nats-server ${version}`, () => {
    test('an empty bucket is caught up at once, and stays alive', async () => {
      await using world = await World.create(version)
      const from = performance.now()
      const reader = await world.read().untilCaughtUp()
      expect(performance.now() - from).toBeLessThan(450)
      expect(reader.batches[0]!.batch).toMatchObject({ updates: [], caughtUp: true, atEnd: true })
      await reader.until('three signs of life', () => reader.batches.length >= 4, 3_000)
    })

    test('a scope without keys in a full bucket is caught up at once, with a bookmark at its end', async () => {
      await using world = await World.create(version)
      await world.load(numbered('a.', 100), 'x')
      const reader = await world.read({ prefix: 'none.' }).untilCaughtUp()
      expect(reader.updates).toEqual([])
      expect(reader.bookmark).toBe(100n)
      await world.load(numbered('a.', 50), 'y')
      await reader.until('a bookmark over foreign writes', () => reader.bookmark === 150n, 3_000)
    })

    test('a prefix is bytes: partial tokens, several prefixes and overlaps deliver exactly their keys', async () => {
      await using world = await World.create(version)
      const keys = [
        'node',
        'nodes',
        'node.a',
        'node.b.c',
        'nod',
        'other',
        'x.y.one',
        'x.y.only',
        'x.y.two',
        'x.z',
        'é.1',
        'éa.2',
      ]
      for (const key of keys) await world.publish(key, key)
      const scopes: [string[], boolean][] = [
        [['node'], false],
        [['node.'], true],
        [['x.y.on'], false],
        [['x.y.on', 'node', 'other'], false],
        [['x.', 'x.y.', 'node.', 'node.b.'], true],
        [['é'], false],
        [['é.'], true],
        [['', 'node'], true],
        [['*.'], false],
        [['x.>'], false],
        [['x y.'], false],
      ]
      for (const [prefixes, counted] of scopes) {
        const scope = prefixes.length === 1 ? { prefix: prefixes[0]! } : { prefixes }
        const expected = keys.filter((key) => prefixes.some((prefix) => key.startsWith(prefix)))
        const watcher = world.watcher()
        const { keyCount } = await watcher.describe(scope)
        const reader = await world.read(scope, {}, watcher).untilCaughtUp()
        expect(reader.keys, JSON.stringify(prefixes)).toEqual(expected)
        expect(keyCount, JSON.stringify(prefixes)).toBe(counted ? BigInt(expected.length) : undefined)
        await reader.stop()
      }
    })

    test('a live partial-token scope sees only its keys and its bookmark passes the others', async () => {
      await using world = await World.create(version)
      const reader = await world.read({ prefix: 'node' }).untilCaughtUp()
      await world.publish('nod', '')
      await world.publish('nodes', 'v')
      await world.publish('other', 'v')
      await reader.until('the bookmark', () => reader.bookmark === 3n, 3_000)
      expect(reader.keys).toEqual(['nodes'])
    })

    test('four hundred prefixes are one consumer', async () => {
      await using world = await World.create(version)
      await world.load(numbered('p', 500, '.k'), 'x')
      const prefixes = [...numbered('p', 400, '.')]
      const reader = await world.read({ prefixes }).untilCaughtUp()
      expect(reader.keys).toHaveLength(400)
      const consumers = await world.manager.consumers.list('KV_b').next()
      expect(consumers).toHaveLength(1)
      await reader.stop()
      const fewer = await world.read({ prefixes: prefixes.slice(0, 250) }).untilCaughtUp()
      expect(fewer.keys).toHaveLength(250)
    })

    test('hostile keys arrive as they are, and a key that is not UTF-8 is skipped, counted and passed', async () => {
      await using world = await World.create(version)
      const hostile = [
        'ключ',
        '\u0001\u007f.x',
        '😀.😀',
        'k'.repeat(3_000),
        '__proto__',
        'a\ufeffb',
        '\ufffd',
      ]
      for (const key of hostile) await world.publish(key, 'v')
      await world.publish(Uint8Array.of(0x61, 0xff, 0x62), 'v')
      await world.publish(Uint8Array.of(0xf0, 0x9f, 0x98), 'v')
      const last = await world.publish('after', 'v')
      const watcher = world.watcher()
      const reader = await world.read('all', {}, watcher).untilCaughtUp()
      expect(reader.keys).toEqual([...hostile, 'after'])
      expect(watcher.stats.undecodableKeys).toBe(2)
      expect(reader.bookmark).toBe(BigInt(last))
      await world.publish(Uint8Array.of(0xc0), 'v')
      await reader.until('passed', () => reader.bookmark === BigInt(last + 1), 3_000)
      expect(watcher.stats.undecodableKeys).toBe(3)
    })

    test('an end by abort throws the reason and removes the consumer', async () => {
      await using world = await World.create(version)
      const reader = await world.read().untilCaughtUp()
      expect(await world.consumerCount()).toBe(1)
      const reason = new Error('enough')
      await reader.stop(reason)
      expect(reader.ended!.error).toBe(reason)
      await expect.poll(() => world.consumerCount(), { timeout: 2_000 }).toBe(0)
    })
  })
}

function* numbered(before: string, count: number, after = ''): Generator<string> {
  for (let i = 0; i < count; i++) yield `${before}${i}${after}`
}
