import {
  ADMIN,
  documentedPermissions,
  FOLLOWER_INBOX,
  FollowerWorld,
  restrictedTo,
  untilStatus,
  violationsIn,
} from '@slip/acceptance'
import type { WatchScope } from '@slip/kv-core'
import { natsServerOrSkip, SERVER_MATRIX, type ServerLine } from '@slip/nats-server'
import { describe, expect, test } from 'vitest'

const documented = await documentedPermissions()
const FOLLOW = documented.get('follow') ?? []
const SEVERAL = [...FOLLOW, ...(documented.get('follow several prefixes') ?? [])]
/** More than the server sends before it asks whether the reader keeps up. */
const KEYS = 3_000
const VALUE = 'x'.repeat(1_024)
const AUDIT_INTERVAL_MS = 250

interface Role {
  readonly title: string
  readonly scope: WatchScope
  readonly publishes: readonly string[]
}

const ROLES: readonly Role[] = [
  { title: 'all keys', scope: 'all', publishes: FOLLOW },
  {
    title: 'one prefix, and allowed to watch no other',
    scope: { prefix: 'eu.' },
    publishes: FOLLOW.map((subject) =>
      subject.startsWith('$JS.API.CONSUMER.CREATE.') ? subject.replace(/>$/, 'eu.>') : subject,
    ),
  },
  { title: 'several prefixes', scope: { prefixes: ['eu.', 'us.'] }, publishes: SEVERAL },
]

test('the README of @slip/nats lists what a follower may publish to', () => {
  expect(FOLLOW).toContain('$JS.API.STREAM.INFO.KV_routes')
  expect(SEVERAL.length).toBeGreaterThan(FOLLOW.length)
  for (const subject of SEVERAL) expect(subject).toMatch(/^\$(JS\.(API|FC)\.|KV\.routes\.)/)
})

for (const version of SERVER_MATRIX) {
  const { skip } = await natsServerOrSkip(version)

  describe.skipIf(skip)(`with the documented permissions alone on nats-server ${version}`, () => {
    for (const role of ROLES)
      test(
        `a follower of ${role.title} lives its life and is refused nothing`,
        { timeout: 60_000 },
        async () => {
          await using world = await restricted(version, role.publishes)
          const followed = world.followed(
            { user: 'follower', password: 'first', inboxPrefix: FOLLOWER_INBOX },
            role.scope,
            { auditIntervalMs: AUDIT_INTERVAL_MS },
          )
          await load(world, 0, KEYS)
          // Under writers a follower has to ask what is left behind the end it reached.
          await Promise.all([load(world, 0, KEYS), followed.start()])
          await world.untilRight(followed, role.scope, 30_000)

          await load(world, 0, 30)
          await world.bucket.delete('eu.0')
          await world.untilRight(followed, role.scope)
          await verified(world, followed)

          await world.bucket.purge('eu.3')
          await world.untilRight(followed, role.scope)
          await verified(world, followed)

          await followed.stop()
          await load(world, KEYS - 30, KEYS + 30)
          await world.bucket.purge('eu.6')
          await followed.start()
          await world.untilRight(followed, role.scope)
          await verified(world, followed)

          await world.bucket.destroy()
          await world.bucket.create()
          await load(world, 0, 30)
          await world.untilRight(followed, role.scope)
          await verified(world, followed)

          const { unverified } = followed.status
          expect(unverified).not.toContain('lineage')
          expect(unverified).not.toContain('count')
          expect(unverified).not.toContain('anchors')
          await followed.stop()
          expect(violationsIn(world.server.log)).toEqual([])
        },
      )

    test('a follower that may not read messages follows, and says that its history is not proven', async () => {
      const less = FOLLOW.filter((subject) => !subject.includes('MSG.GET'))
      expect(less).toHaveLength(FOLLOW.length - 1)
      await using world = await restricted(version, less)
      await load(world, 0, 30)
      const followed = world.followed(
        { user: 'follower', password: 'first', inboxPrefix: FOLLOWER_INBOX },
        'all',
        { auditIntervalMs: AUDIT_INTERVAL_MS },
      )
      await followed.start()
      await world.untilRight(followed, 'all')
      await untilStatus(followed, 'told', ({ unverified }) => unverified.includes('anchors'), 10_000)
      await followed.stop()
      await load(world, 30, 60)
      await followed.start()
      await world.untilRight(followed, 'all')
      await verified(world, followed)
      expect(followed.status).toMatchObject({ state: 'live', unverified: ['anchors'] })
      await followed.stop()
      const violations = violationsIn(world.server.log)
      expect(violations).not.toEqual([])
      expect(violations.filter((line) => !line.includes('MSG.GET'))).toEqual([])
    })

    test('one permission less is a violation that this test would see', { timeout: 30_000 }, async () => {
      const less = FOLLOW.filter((subject) => !subject.includes('CONSUMER.CREATE'))
      await using world = await restricted(version, less)
      const followed = world.followed({
        user: 'follower',
        password: 'first',
        inboxPrefix: FOLLOWER_INBOX,
      })
      await world.bucket.put('eu.1', 'one')
      await followed.start()
      await untilStatus(followed, 'PermissionDenied', ({ reason }) => reason === 'PermissionDenied', 10_000)
      expect(violationsIn(world.server.log)).not.toEqual([])
    })
  })
}

async function restricted(version: ServerLine, publishes: readonly string[]): Promise<FollowerWorld> {
  return await FollowerWorld.start({
    version,
    server: { config: restrictedTo(publishes) },
    admin: ADMIN,
    bucket: 'routes',
  })
}

async function load(world: FollowerWorld, from: number, below: number): Promise<void> {
  const groups = ['eu', 'us', 'ap']
  const indices = Array.from({ length: below - from }, (_, i) => from + i)
  for (let at = 0; at < indices.length; at += 256)
    await Promise.all(
      indices.slice(at, at + 256).map(async (i) => await world.bucket.put(`${groups[i % 3]}.${i}`, VALUE)),
    )
}

async function verified(
  world: FollowerWorld,
  followed: Awaited<ReturnType<FollowerWorld['followed']>>,
): Promise<void> {
  const { lastSequence } = await world.bucket.facts()
  await untilStatus(
    followed,
    'verified',
    ({ verifiedThrough }) => verifiedThrough === lastSequence,
    AUDIT_INTERVAL_MS * 4 + 2_000,
  )
}
