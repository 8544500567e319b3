import { setTimeout as wait } from 'node:timers/promises'
import { ClusterWorld, countFrom } from '@slip/acceptance'
import { natsServerOrSkip, SERVER_MATRIX, type NatsServer, type ServerLine } from '@slip/nats-server'
import { describe, expect, test } from 'vitest'

const FULL = process.env['SLIP_MATRIX'] === 'full'
const IN_CI: ServerLine = '2.12'
const LEADER_KILLS = countFrom('SLIP_LEADER_KILLS', 2)
const STEP_DOWNS = countFrom('SLIP_STEP_DOWNS', 5)
const TIMEOUT_MS = 120_000 + LEADER_KILLS * 30_000
const BACK_WITHIN_MS = 90_000
const KEYS = 200

for (const version of SERVER_MATRIX.filter((line) => FULL || line === IN_CI)) {
  const { skip } = await natsServerOrSkip(version)

  describe.skipIf(skip).concurrent(`a bucket with three replicas, nats-server ${version}`, () => {
    test(
      `${LEADER_KILLS} leaders killed and ${STEP_DOWNS} stepped down under a writer: everything acknowledged arrives, nothing is rebuilt`,
      { timeout: TIMEOUT_MS },
      async () => {
        await using world = await filled(version)
        const followed = await following(world)
        const stop = new AbortController()
        const writing = writeUntil(world, stop.signal)
        for (let i = 0; i < STEP_DOWNS; i++) {
          await world.stepDown()
          await wait(200)
        }
        for (let i = 0; i < LEADER_KILLS; i++) {
          const leader = await world.leader()
          await leader.kill()
          const next = await world.leader()
          expect(next.port).not.toBe(leader.port)
          await leader.restart()
          await world.replicated()
        }
        stop.abort()
        const written = await writing
        await world.untilRight(followed, 'all', BACK_WITHIN_MS)
        const fold = followed.fold()
        for (const [key, value] of written) expect(fold.get(key)?.value).toBe(value)
        expect(rebuilds(followed)).toEqual([])
      },
    )

    test(
      'keys that vanish as the leader dies are found missing by the next one',
      { timeout: TIMEOUT_MS },
      async () => {
        await using world = await filled(version)
        const followed = await following(world)
        await world.bucket.purge('key.5')
        await (await world.leader()).kill()
        await world.leader()
        await world.untilRight(followed, 'all', BACK_WITHIN_MS)
        // A leader that has just taken over may count once more before it has caught up itself.
        expect([...new Set(rebuilds(followed))]).toEqual(['countMismatch'])
      },
    )

    test(
      'a replica that lost everything: its followers lose nothing and rebuild nothing',
      { timeout: TIMEOUT_MS },
      async () => {
        await using world = await filled(version)
        const node = await notLeading(world)
        const followed = await following(world, node)
        await node.kill()
        await world.wipe(node)
        await fill(world, 'meanwhile')
        await node.restart()
        await world.replicated()
        await world.untilRight(followed, 'all', BACK_WITHIN_MS)
        expect(rebuilds(followed)).toEqual([])
      },
    )

    test(
      'a replica that went back to older data: its followers lose nothing and rebuild nothing',
      { timeout: TIMEOUT_MS },
      async () => {
        await using world = await filled(version)
        const node = await notLeading(world)
        await node.kill('SIGTERM')
        await world.remember(node)
        await node.restart()
        const followed = await following(world, node)
        await fill(world, 'forgotten')
        await world.replicated()
        await world.untilRight(followed, 'all', BACK_WITHIN_MS)
        await node.kill()
        await world.rollBack(node)
        await node.restart()
        await world.replicated()
        await fill(world, 'later')
        await world.untilRight(followed, 'all', BACK_WITHIN_MS)
        expect(rebuilds(followed)).toEqual([])
      },
    )

    test(
      'all replicas went back to older data and revisions are used again: rebuilt',
      { timeout: TIMEOUT_MS },
      async () => {
        await using world = await filled(version)
        await each(world, async (node) => await node.kill('SIGTERM'))
        await each(world, async (node) => await world.remember(node))
        await each(world, async (node) => await node.restart())
        await world.leader()
        const followed = await following(world)
        await fill(world, 'forgotten')
        await world.untilRight(followed, 'all', BACK_WITHIN_MS)
        await followed.stop()
        await each(world, async (node) => await node.kill())
        await each(world, async (node) => await world.rollBack(node))
        await each(world, async (node) => await node.restart())
        await world.leader()
        await fill(world, 'otherwise')
        await followed.start()
        await world.untilRight(followed, 'all', BACK_WITHIN_MS)
        expect(rebuilds(followed)).toContain('bucketRolledBack')
      },
    )
  })
}

type Followed = ReturnType<ClusterWorld['followed']>

async function filled(version: ServerLine): Promise<ClusterWorld> {
  const world = await ClusterWorld.start(version)
  await fill(world, 'first')
  return world
}

async function fill(world: ClusterWorld, value: string): Promise<void> {
  await Promise.all(
    Array.from({ length: KEYS }, async (_, i) => await world.put(`key.${i}`, `${value} ${i}`)),
  )
}

async function following(world: ClusterWorld, node?: NatsServer): Promise<Followed> {
  const followed = world.followed(node === undefined ? {} : { servers: node.url })
  await followed.start()
  await world.untilRight(followed, 'all', BACK_WITHIN_MS)
  return followed
}

async function notLeading(world: ClusterWorld): Promise<NatsServer> {
  const leader = await world.leader()
  return world.cluster.nodes.find(({ port }) => port !== leader.port)!
}

async function each(world: ClusterWorld, work: (node: NatsServer) => Promise<void>): Promise<void> {
  await Promise.all(world.cluster.nodes.map(work))
}

/** Gives what was acknowledged last for each key. */
async function writeUntil(world: ClusterWorld, signal: AbortSignal): Promise<ReadonlyMap<string, string>> {
  const written = new Map<string, string>()
  for (let i = 0; !signal.aborted; i++) {
    const key = `busy.${i % 50}`
    await world.put(key, `${i}`)
    written.set(key, `${i}`)
  }
  return written
}

function rebuilds(followed: Followed): (string | undefined)[] {
  return followed.events.flatMap(({ state, reason }) => (state === 'resyncing' ? [reason] : []))
}
