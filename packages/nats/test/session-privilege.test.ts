import { WatchCursor } from '@slip/kv-core'
import { describe, expect, test } from 'vitest'

import { World, type Access } from './session-fixture.ts'
import { natsServerOrSkip, SERVER_MATRIX, serverConfig } from '@slip/nats-server'

/** All that a follower of bucket `b` may publish to, and receive. */
const FOLLOWER_PUBLISHES = [
  '$JS.API.STREAM.INFO.KV_b',
  '$JS.API.CONSUMER.CREATE.KV_b.*.$KV.b.>',
  '$JS.API.CONSUMER.INFO.KV_b.*',
  '$JS.API.CONSUMER.DELETE.KV_b.*',
  '$JS.FC.KV_b.>',
]

for (const version of SERVER_MATRIX) {
  const { skip } = await natsServerOrSkip(version)

  describe.skipIf(skip)(`a follower with least privilege on nats-server ${version}`, () => {
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
        await reader.until(
          'a few heartbeats',
          () => reader.batches.filter(({ batch }) => batch.updates.length === 0).length > 2,
        )
        await reader.stop()
        await odd.stop()
        await expect.poll(() => world.consumerCount(), { timeout: 2_000 }).toBe(0)
        expect(violations).toEqual([])
      },
    )

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

    test('that may not create a consumer, or not receive, is told PermissionDenied', async () => {
      await using world = await restricted(
        version,
        FOLLOWER_PUBLISHES.filter((subject) => !subject.includes('CONSUMER.CREATE')),
      )
      expect((await world.read('all', { after: WatchCursor.none }).end(8_000)).code).toBe('PermissionDenied')
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
  })
}

async function restricted(version: string, publishes: readonly string[]): Promise<World> {
  const access: Access = {
    config: configOf(publishes, 'first-secret'),
    reading: { user: 'follower', pass: 'first-secret', inboxPrefix: '_INBOX_f' },
    writing: { user: 'admin', pass: 'pw' },
  }
  const world = await World.create(version, {}, access)
  world.inboxPrefix = '_INBOX_f'
  return world
}

function configOf(publishes: readonly string[], password: string): string {
  const allowed = publishes.map((subject) => JSON.stringify(subject)).join(', ')
  return `authorization { users = [
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
