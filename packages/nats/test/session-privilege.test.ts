import { WatchCursor } from '@slip/kv-core'
import { NatsConnection } from '@slip/nats'
import { describe, expect, test, vi } from 'vitest'

import { listing } from '../src/read/listing.ts'
import { whileOverwriting } from './overwriting.ts'
import { contextOf, World, type Access } from './session-fixture.ts'
import { natsServerOrSkip, SERVER_MATRIX, serverConfig } from '@slip/nats-server'

/** All that a follower of bucket `b` may publish to, and receive. */
const FOLLOWER_PUBLISHES = [
  '$JS.API.STREAM.INFO.KV_b',
  '$JS.API.CONSUMER.CREATE.KV_b.*.$KV.b.>',
  '$JS.API.CONSUMER.INFO.KV_b.*',
  '$JS.API.CONSUMER.MSG.NEXT.KV_b.*',
  '$JS.API.CONSUMER.DELETE.KV_b.*',
  '$JS.API.STREAM.MSG.GET.KV_b',
  '$JS.FC.KV_b.>',
]

/** And what a reader of it may publish to besides; the README has both lists. */
const READER_PUBLISHES = [...FOLLOWER_PUBLISHES, '$JS.API.DIRECT.GET.KV_b.$KV.b.>']

const ADMIN = { user: 'admin', pass: 'pw' }

for (const version of SERVER_MATRIX) {
  const { skip } = await natsServerOrSkip(version)

  describe.skipIf(skip)(
    `a follower with least privilege on nats-server ${version}`,
    { concurrent: true },
    () => {
      test(
        'reads a bucket larger than the flow-control window, and violates nothing',
        { timeout: 60_000 },
        async () => {
          await using world = await restricted(version, FOLLOWER_PUBLISHES)
          const violations = violationsOf(world)
          const count = 6_000
          await world.load(
            Array.from({ length: count }, (_, i) => `${i % 2 === 0 ? 'even' : 'odd'}.${i}`),
            'x'.repeat(1_024),
          )
          const watcher = world.watcher()
          expect(await watcher.describe({ prefix: 'odd.' })).toMatchObject({ keyCount: 3_000n })
          const reader = await world.read('all', {}, watcher).untilCaughtUp(20_000)
          expect(reader.keys).toHaveLength(count)
          const odd = await world.read({ prefix: 'odd.' }).untilCaughtUp()
          expect(odd.keys).toHaveLength(3_000)
          const { history } = watcher
          expect(await history!.at(1n)).toMatchObject({ key: 'even.0' })
          expect(await history!.newest('odd.1')).toMatchObject({ revision: 2n })
          expect(await history!.firstAfter(2n, { prefix: 'odd.' })).toMatchObject({ key: 'odd.3' })
          await reader.until(
            'a few heartbeats',
            () => reader.batches.filter(({ batch }) => batch.updates.length === 0).length > 2,
          )
          await reader.stop()
          await odd.stop()
          // Not `expect.poll`: it does not know its test where several run side by side.
          await vi.waitFor(async () => expect(await world.consumerCount()).toBe(0), { timeout: 2_000 })
          expect(violations).toEqual([])
        },
      )

      test('is caught up while all keys are overwritten, also one that may not pull', async () => {
        const mayNotPull = FOLLOWER_PUBLISHES.filter((subject) => !subject.includes('MSG.NEXT'))
        for (const publishes of [FOLLOWER_PUBLISHES, mayNotPull]) {
          await using world = await restricted(version, publishes)
          const violations = violationsOf(world)
          const keys = Array.from({ length: 1_000 }, (_, i) => `k.${i}`)
          await world.load(keys, 'v')
          const subjects = keys.map((key) => `$KV.b.${key}`)
          await whileOverwriting(
            world.server,
            subjects,
            async () => {
              const reader = await world.read().untilCaughtUp()
              await reader.stop()
            },
            ADMIN,
          )
          if (publishes === FOLLOWER_PUBLISHES) expect(violations).toEqual([])
          else expect(violations.every((violation) => violation.includes('MSG.NEXT'))).toBe(true)
        }
      })

      test('reads keys, values and listings with what the README lists, and may not write', async () => {
        await using world = await restricted(version, READER_PUBLISHES)
        await world.load(['a.1', 'a.2', 'b.1'], 'v')
        await using connection = await connectRestricted(world)
        const { reader, writer } = await connection.store('b')
        expect((await reader.get('a.1'))?.value).toEqual(new TextEncoder().encode('v'))
        expect((await reader.entry('b.1'))?.version.revision).toBe(3n)
        const listed: string[] = []
        for await (const { key } of reader.scan('a.')) listed.push(key)
        expect(listed).toEqual(['a.1', 'a.2'])
        await expect(writer.put('a.1', 'w')).rejects.toMatchObject({ code: 'PermissionDenied' })
        await expect(connection.store('other')).rejects.toMatchObject({ code: 'PermissionDenied' })
      })

      test('writes with what the README lists', async () => {
        await using world = await restricted(version, [
          '$KV.b.>',
          '$JS.API.STREAM.INFO.KV_b',
          '$JS.API.STREAM.MSG.GET.KV_b',
        ])
        await using connection = await connectRestricted(world)
        const { writer, purger, reader } = await connection.store('b')
        await writer.update('k', '2', await writer.put('k', '1'))
        await writer.delete('k')
        await writer.create('k', '3')
        await expect(writer.create('k', '4')).rejects.toMatchObject({ code: 'AlreadyExists' })
        await purger.purge('k')
        for await (const outcome of writer.bulk([{ operation: 'put', key: 'bulk', value: 'v' }]))
          expect(outcome).toHaveProperty('version')
        await expect(reader.get('k', { timeoutMs: 500 })).rejects.toMatchObject({ code: 'PermissionDenied' })
      })

      test('that may not pull is told PermissionDenied when it lists', async () => {
        const mayNotPull = READER_PUBLISHES.filter((subject) => !subject.includes('MSG.NEXT'))
        await using world = await restricted(version, mayNotPull)
        await world.load(['a'], 'v')
        const context = contextOf(world.reading, 'b', world.inboxPrefix)
        const keys = listing(context, { prefix: '', headersOnly: true, item: ({ key }) => ({ key }) })
        await expect(keys[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'PermissionDenied' })
      })

      test('that may not ask for its consumer still ends when it is gone', { timeout: 30_000 }, async () => {
        await using world = await restricted(
          version,
          FOLLOWER_PUBLISHES.filter((subject) => !subject.includes('CONSUMER.INFO')),
        )
        const reader = await world.read().untilCaughtUp()
        await world.deleteConsumers()
        const { code, error } = await reader.end(6_000)
        expect([code, String(error)]).toEqual(['Unreachable', expect.stringContaining('no sign of life')])
      })

      test('that may not read messages follows, and is told so of its history, with one violation', async () => {
        const mayNotRead = FOLLOWER_PUBLISHES.filter((subject) => !subject.includes('MSG.GET'))
        await using world = await restricted(version, mayNotRead)
        const violations = violationsOf(world)
        await world.load(['a', 'b'], 'v')
        const watcher = world.watcher()
        for (let i = 0; i < 3; i++)
          await expect(watcher.history!.at(1n)).rejects.toMatchObject({ code: 'PermissionDenied' })
        await expect(watcher.history!.firstAfter(0n, 'all')).rejects.toMatchObject({
          code: 'PermissionDenied',
        })
        const reader = await world.read('all', {}, watcher).untilCaughtUp()
        expect(reader.keys).toEqual(['a', 'b'])
        expect(violations).toEqual([expect.stringContaining('MSG.GET')])
      })

      test('that may not create a consumer, or not receive, is told PermissionDenied', async () => {
        await using world = await restricted(
          version,
          FOLLOWER_PUBLISHES.filter((subject) => !subject.includes('CONSUMER.CREATE')),
        )
        expect((await world.read('all', { after: WatchCursor.none }).end(8_000)).code).toBe(
          'PermissionDenied',
        )
        await using deaf = await restricted(version, FOLLOWER_PUBLISHES)
        deaf.inboxPrefix = '_ELSEWHERE'
        expect((await deaf.read().end(8_000)).code).toBe('PermissionDenied')
      })

      test('whose credentials are revoked ends with Unauthorized, and shows no password', async () => {
        await using world = await restricted(version, FOLLOWER_PUBLISHES)
        const reader = await world.read().untilCaughtUp()
        const { server } = world
        const config = configOf(FOLLOWER_PUBLISHES, 'another-secret')
        await server.configure(serverConfig({ config }, server.port, server.storeDirectory))
        server.reload()
        const { code, error } = await reader.end(8_000)
        expect(code).toBe('Unauthorized')
        expect(`${String(error)}${JSON.stringify(error)}`).not.toContain('secret')
      })
    },
  )
}

async function restricted(version: string, publishes: readonly string[]): Promise<World> {
  const access: Access = {
    config: configOf(publishes, 'first-secret'),
    reading: { user: 'follower', pass: 'first-secret', inboxPrefix: '_INBOX_f' },
    writing: ADMIN,
  }
  const world = await World.create(version, {}, access)
  world.inboxPrefix = '_INBOX_f'
  return world
}

async function connectRestricted(world: World): Promise<NatsConnection> {
  return await NatsConnection.connect({
    servers: world.server.url,
    user: 'follower',
    password: 'first-secret',
    inboxPrefix: '_INBOX_f',
    timeoutMs: 10_000,
  })
}

function configOf(publishes: readonly string[], password: string): string {
  const allowed = publishes.map((subject) => JSON.stringify(subject)).join(', ')
  return `authorization { timeout: 60, users = [
    { user: admin, password: pw }
    { user: follower, password: "${password}", permissions: { publish: { allow: [${allowed}] }, subscribe: { allow: ["_INBOX_f.>"] } } }
  ] }\n`
}

function violationsOf(world: World): string[] {
  const violations: string[] = []
  void (async () => {
    for await (const event of world.reading.status())
      if (event.type === 'error') violations.push(String(event.error))
  })()
  return violations
}
