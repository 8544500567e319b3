import {
  ADMIN,
  documentedPermissions,
  FOLLOWER_INBOX,
  FollowerWorld,
  OperatorMode,
  restrictedTo,
  untilStatus,
} from '@slip/acceptance'
import { KvError, type FollowStatus, type WatchScope } from '@slip/kv-core'
import { natsServerOrSkip, SERVER_MATRIX, serverConfig, type ServerLine } from '@slip/nats-server'
import { describe, expect, test } from 'vitest'

const FOLLOW = (await documentedPermissions()).get('follow') ?? []
const FOLLOWER = { user: 'follower', password: 'first', inboxPrefix: FOLLOWER_INBOX }
const SAYS_WITHIN_MS = 5_000
const BACK_WITHIN_MS = 15_000

for (const version of SERVER_MATRIX) {
  const { skip } = await natsServerOrSkip(version)

  describe.skipIf(skip).concurrent(`a follower that loses its access, nats-server ${version}`, () => {
    test('password changed: Unauthorized, and goes on when the old one is taken again', async () => {
      await using world = await restricted(version)
      const followed = await following(world)
      await reconfigure(world, restrictedTo(FOLLOW, 'second'))
      await says(followed, 'Unauthorized')
      await changes(world)
      await staysOpen(followed, 'Unauthorized')
      await reconfigure(world, restrictedTo(FOLLOW, 'first'))
      await isBack(world, followed)
    })

    test('credentials expired: Unauthorized, and goes on with new ones', async () => {
      const mode = new OperatorMode()
      const admin = mode.user()
      await using world = await FollowerWorld.start({
        version,
        server: { config: mode.config() },
        admin: { creds: admin.creds },
      })
      let credentials = mode.user()
      const followed = await following(world, { creds: () => credentials.creds })
      // Whoever is slow to come back finds them expired already: no less a refusal.
      credentials = mode.user(Date.now() + 3_000)
      await world.server.restart()
      await world.reconnect()
      await says(followed, 'Unauthorized', 10_000)
      await changes(world)
      await staysOpen(followed, 'Unauthorized')
      credentials = mode.user()
      await isBack(world, followed)
    })

    test('user revoked: Unauthorized, and goes on as another user', async () => {
      const mode = new OperatorMode()
      const admin = mode.user()
      await using world = await FollowerWorld.start({
        version,
        server: { config: mode.config() },
        admin: { creds: admin.creds },
      })
      const revoked = mode.user()
      let credentials = revoked
      const followed = await following(world, { creds: () => credentials.creds })
      await reconfigure(world, mode.config([revoked]))
      await says(followed, 'Unauthorized', 10_000)
      await changes(world)
      await staysOpen(followed, 'Unauthorized')
      credentials = mode.user()
      await isBack(world, followed)
    })

    const LOST: readonly { readonly what: string; readonly part: string; readonly scope: WatchScope }[] = [
      { what: 'to read the stream', part: 'STREAM.INFO', scope: 'all' },
      { what: 'to make consumers', part: 'CONSUMER.CREATE', scope: { prefix: 'route.' } },
    ]
    for (const { what, part, scope } of LOST)
      test(`no longer allowed ${what}: says so while keys vanish, and goes on when it is again`, async () => {
        await using world = await restricted(version)
        const followed = await following(world, FOLLOWER, scope)
        await reconfigure(world, restrictedTo(FOLLOW.filter((subject) => !subject.includes(part))))
        await changes(world)
        await untilStatus(
          followed,
          'telling that it cannot verify',
          (status) => status.reason === 'PermissionDenied' || status.unverified.includes('count'),
          SAYS_WITHIN_MS,
        )
        await reconfigure(world, restrictedTo(FOLLOW))
        await isBack(world, followed, scope)
      })

    test('no longer allowed to receive: says so, and goes on when it is again', async () => {
      await using world = await restricted(version)
      const followed = await following(world)
      await reconfigure(world, restrictedTo(FOLLOW, 'first', '_ELSEWHERE'))
      await changes(world)
      await untilStatus(followed, 'not live', ({ state }) => state !== 'live', SAYS_WITHIN_MS)
      await says(followed, 'PermissionDenied', 15_000)
      await reconfigure(world, restrictedTo(FOLLOW))
      await isBack(world, followed)
    })

    test('JetStream switched off: says so, and goes on when it is on again', async () => {
      await using world = await FollowerWorld.start({ version })
      const followed = await following(world, {})
      const { port, storeDirectory } = world.server
      await world.server.configure(serverConfig({ jetstream: false }, port, storeDirectory))
      await world.server.restart()
      await untilStatus(followed, 'not live', ({ state }) => state !== 'live', SAYS_WITHIN_MS)
      await says(followed, 'Unreachable', 10_000)
      await staysOpen(followed, 'Unreachable')
      await world.server.configure(serverConfig({}, port, storeDirectory))
      await world.server.restart()
      await world.reconnect()
      await changes(world)
      await isBack(world, followed)
    })

    test('the bucket deleted: BucketNotFound, and goes on with a new one', async () => {
      await using world = await FollowerWorld.start({ version })
      const followed = await following(world, {})
      await world.bucket.destroy()
      await says(followed, 'BucketNotFound', 10_000)
      await staysOpen(followed, 'BucketNotFound')
      await world.bucket.create()
      await changes(world)
      await isBack(world, followed)
    })
  })
}

type Followed = ReturnType<FollowerWorld['followed']>

async function restricted(version: ServerLine): Promise<FollowerWorld> {
  return await FollowerWorld.start({ version, server: { config: restrictedTo(FOLLOW) }, admin: ADMIN })
}

async function following(
  world: FollowerWorld,
  connection: Parameters<FollowerWorld['followed']>[0] = FOLLOWER,
  scope: WatchScope = 'all',
): Promise<Followed> {
  for (let i = 0; i < 10; i++) await world.bucket.put(`route.${i}`, 'before')
  const followed = world.followed(connection, scope, { staleAfterMs: 2_000 })
  await followed.start()
  await world.untilRight(followed, scope)
  return followed
}

/** New values, and a key that goes with nobody told. */
async function changes(world: FollowerWorld): Promise<void> {
  await world.bucket.put('route.1', 'after')
  await world.bucket.put('route.new', 'after')
  await world.bucket.purge('route.5')
}

async function reconfigure(
  world: FollowerWorld,
  config: string | Readonly<Record<string, unknown>>,
): Promise<void> {
  const { port, storeDirectory } = world.server
  await world.server.reconfigure(serverConfig({ config }, port, storeDirectory))
}

async function says(followed: Followed, code: string, timeoutMs = SAYS_WITHIN_MS): Promise<void> {
  const wanted = ({ state, reason }: FollowStatus): boolean => state !== 'live' && reason === code
  await untilStatus(followed, code, wanted, timeoutMs)
}

/** It neither ends nor forgets what it holds; its error has the code. */
async function staysOpen(followed: Followed, code: string): Promise<void> {
  const ended = followed.follower.closed.then(
    () => 'ended',
    () => 'failed',
  )
  const later = new Promise((resolve) => setTimeout(resolve, 1_000, 'open'))
  expect(await Promise.race([ended, later])).toBe('open')
  expect(followed.follower.get('route.2')).toBeDefined()
  const told = ({ error }: FollowStatus): boolean => KvError.is(error) && error.code === code
  await untilStatus(followed, `open with ${code}`, told, SAYS_WITHIN_MS)
}

async function isBack(world: FollowerWorld, followed: Followed, scope: WatchScope = 'all'): Promise<void> {
  await world.untilRight(followed, scope, BACK_WITHIN_MS)
}
