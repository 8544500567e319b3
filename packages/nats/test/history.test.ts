import { connect } from '@nats-io/transport-node'
import type { KvHistory } from '@slip/kv-core'
import { natsServerOrSkip, SERVER_MATRIX, startNatsServer } from '@slip/nats-server'
import { describe, expect, test } from 'vitest'

import type { BucketContext } from '../src/bucket-context.ts'
import { NatsHistory } from '../src/session/history.ts'
import { codeOf } from './code-of.ts'
import { wholeMs } from '../src/session/stored-message.ts'
import { contextOf, World } from './session-fixture.ts'

describe('the time of a stored message', () => {
  test.each([
    ['2026-11-26T01:48:20.123456789Z', 123],
    ['2026-11-26T01:48:20.999999999Z', 999],
    ['2026-11-26T01:48:20.1Z', 100],
    ['2026-11-26T01:48:20.05Z', 50],
    ['2026-11-26T01:48:20.000999Z', 0],
    ['2026-11-26T01:48:20Z', 0],
  ])('%s is cut to whole milliseconds', (time, ms) => {
    expect(wholeMs(time)).toBe(Date.UTC(2026, 10, 26, 1, 48, 20, ms))
  })

  test.each(['', 'yesterday', '2026-13-45T01:48:20Z', '2026-11-26T01:48:20+01:00', 7, undefined, null])(
    '%s is none',
    (time) => {
      expect(wholeMs(time)).toBeUndefined()
    },
  )
})

describe('a reply that is not what was asked for', () => {
  const message = { subject: '$KV.b.k', seq: 5, time: '2026-11-26T01:48:20Z' }
  const at = (history: KvHistory) => history.at(5n)
  const newest = (history: KvHistory) => history.newest('k')
  const firstAfter = (history: KvHistory) => history.firstAfter(4n, 'all')

  test.each([
    ['nothing', at, null],
    ['no message', at, {}],
    ['a message that is none', at, { message: 'k' }],
    ['no subject', at, { message: { ...message, subject: 7 } }],
    ['a sequence that is a text', at, { message: { ...message, seq: '5' } }],
    ['a sequence that is no whole number', at, { message: { ...message, seq: 5.5 } }],
    ['a time that is none', at, { message: { ...message, time: 1 } }],
    ['another revision', at, { message: { ...message, seq: 6 } }],
    ['another key', newest, { message: { ...message, subject: '$KV.b.l' } }],
    ['a revision that is not above', firstAfter, { message: { ...message, seq: 4 } }],
  ])('%s proves nothing: KvError Unreachable', async (_what, ask, reply) => {
    await expect(ask(new NatsHistory(answering(reply)))).rejects.toMatchObject({ code: 'Unreachable' })
  })

  test('and one that is, is understood', async () => {
    const stored = { key: 'k', revision: 5n, writtenAtMs: Date.UTC(2026, 10, 26, 1, 48, 20) }
    for (const ask of [at, newest, firstAfter])
      expect(await ask(new NatsHistory(answering({ message })))).toEqual(stored)
  })

  test('a message under another subject than the bucket has is no message of a key', async () => {
    const foreign = new NatsHistory(answering({ message: { ...message, subject: 'orders.k' } }))
    expect((await foreign.at(5n))?.key).toBe('orders.k')
  })
})

for (const version of SERVER_MATRIX) {
  const { skip } = await natsServerOrSkip(version)

  describe.skipIf(skip)(`what nats-server ${version} says of its history`, { timeout: 120_000 }, () => {
    test('has the times that deliveries have, to the millisecond', async () => {
      await using world = await World.create(version)
      const keys = Array.from({ length: 150 }, (_, i) => `k.${i}`)
      for (let i = 0; i < keys.length; i += 25) await world.load(keys.slice(i, i + 25), 'v')
      await world.bucket.delete('k.3')
      const { updates } = await world.read().untilCaughtUp()
      const history = world.watcher().history!
      expect(updates).toHaveLength(keys.length)
      for (const { key, version: token, writtenAtMs } of updates) {
        const stored = { key, revision: token.revision!, writtenAtMs }
        expect(await history.at(token.revision!)).toEqual(stored)
      }
    })

    test('passes by a key that is not UTF-8, as a watch does, and not one that has a replacement character', async () => {
      await using world = await World.create(version)
      await world.publish('first', '1')
      await world.publish(Buffer.from([0x6b, 0xff]), '2')
      await world.publish(Buffer.from('k\uFFFDx'), '3')
      const { keys } = await world.read().untilCaughtUp()
      expect(keys).toEqual(['first', 'k\uFFFDx'])
      const history = world.watcher().history!
      expect(await history.firstAfter(1n, 'all')).toMatchObject({ key: 'k\uFFFDx', revision: 3n })
      expect(await history.firstAfter(3n, 'all')).toBeUndefined()
    })

    test('is found under hundreds of prefixes, and values of a megabyte are no hindrance', async () => {
      await using world = await World.create(version)
      await world.load(
        Array.from({ length: 300 }, (_, i) => `p${i}.k`),
        'v',
      )
      const large = await world.publish('p299.large', Buffer.alloc(1_000_000, 0x78))
      const history = world.watcher().history!
      const prefixes = (count: number) => Array.from({ length: count }, (_, i) => `p${299 - i}.`)
      const every = { prefixes: prefixes(250) }
      const oldest = (await history.newest('p50.k'))!
      const before = await history.firstAfter(0n, every)
      expect(before).toMatchObject({ revision: (await lowest(history, 50, 300)).revision })
      expect(before!.revision <= oldest.revision).toBe(true)
      // Behind a message that is out of scope each filter has to be asked for.
      const few = { prefixes: prefixes(40) }
      expect(await history.firstAfter(100n, few)).toMatchObject({
        revision: (await lowest(history, 260, 300)).revision,
      })
      expect(await history.firstAfter(300n, every)).toMatchObject({
        key: 'p299.large',
        revision: BigInt(large),
      })
      expect(await history.firstAfter(BigInt(large), every)).toBeUndefined()
    })

    test('under a prefix that ends within a token costs a bounded number of questions', async () => {
      await using world = await World.create(version)
      await world.load(
        Array.from({ length: 100 }, (_, i) => `other.${i}`),
        'v',
      )
      await world.load(['node'], 'v')
      const counted = counting(contextOf(world.reading, 'b'))
      const history = new NatsHistory(counted.context)
      expect(await history.firstAfter(0n, { prefix: 'nod' })).toMatchObject({ key: 'node', revision: 101n })
      expect(counted.requests()).toBe(101)
      await world.load(
        Array.from({ length: 3_000 }, (_, i) => `other.${i}`),
        'v',
      )
      const code = await codeOf(history.firstAfter(101n, { prefix: 'nod' }))
      expect(code).toBe('Unsupported')
      expect(counted.requests()).toBeLessThan(400)
      // That one question was too much says nothing of the others.
      expect(await history.newest('node')).toMatchObject({ revision: 101n })
    })

    test('of an account that imports other parts of the API, is nothing that can be asked for', async () => {
      await using server = await startNatsServer({ version, config: IMPORTING })
      const admin = await connect({ servers: server.url, user: 'admin', pass: 'pw' })
      const stream = { name: 'KV_b', subjects: ['$KV.b.>'], max_msgs_per_subject: 1 }
      await admin.request('$JS.API.STREAM.CREATE.KV_b', JSON.stringify(stream))
      const importing = await connect({ servers: server.url, user: 'reader', pass: 'pw' })
      try {
        const history = new NatsHistory(contextOf(importing, 'b'))
        expect(await codeOf(history.at(1n))).toBe('Unsupported')
      } finally {
        await importing.close()
        await admin.close()
      }
    })

    test('and of its settings and its clock', async () => {
      await using world = await World.create(version, { history: 3, ttl: 60_000 })
      const description = await world.watcher().describe('all')
      expect(description).toMatchObject({ historyPerKey: 3, evictsAfterMs: 60_000 })
      expect(Math.abs(description.serverTimeMs! - Date.now())).toBeLessThan(60_000)
    })
  })
}

const IMPORTING = `accounts {
  JS: { jetstream: enabled, users: [{ user: admin, password: pw }], exports: [{ service: "$JS.API.>" }] }
  APP: {
    users: [{ user: reader, password: pw }]
    imports: [{ service: { account: JS, subject: "$JS.API.STREAM.INFO.KV_b" } }]
  }
}
`

/** The oldest of the newest messages of these keys. */
async function lowest(
  history: KvHistory,
  from: number,
  below: number,
): Promise<{ readonly revision: bigint }> {
  const messages = await Promise.all(
    Array.from({ length: below - from }, async (_, i) => await history.newest(`p${from + i}.k`)),
  )
  return messages.reduce((least, each) => (each!.revision < least!.revision ? each : least))!
}

function answering(reply: unknown): BucketContext {
  const context = { bucket: 'b', stream: 'KV_b', subjectPrefix: '$KV.b.', timeoutMs: 1_000 }
  return { ...context, api: async () => await Promise.resolve(reply) } as unknown as BucketContext
}

function counting(context: BucketContext): { readonly context: BucketContext; requests(): number } {
  let requests = 0
  const api: BucketContext['api'] = async (...request) => {
    requests++
    return await context.api(...request)
  }
  return { context: { ...context, api }, requests: () => requests }
}
