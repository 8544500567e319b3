import { countFrom, FollowerWorld, untilStatus } from '@slip/acceptance'
import type { BulkOperation, WatchScope } from '@slip/kv-core'
import { NatsConnection } from '@slip/nats'
import { natsServerOrSkip, SERVER_MATRIX } from '@slip/nats-server'
import { describe, expect, test } from 'vitest'

const OVERWRITES = countFrom('SLIP_OVERWRITES', 5_000)
const KEYS = 10
const STEPS = 8
const AUDIT_INTERVAL_MS = 250
const WITHIN_MS = 60_000 + OVERWRITES
const TIMEOUT_MS = 4 * WITHIN_MS
const QUIET: readonly (readonly [string, WatchScope])[] = [
  ['a quiet prefix', { prefix: 'quiet.' }],
  ['two quiet prefixes', { prefixes: ['quiet.', 'still.'] }],
]

type Followed = ReturnType<FollowerWorld['followed']>

for (const version of SERVER_MATRIX) {
  const { skip } = await natsServerOrSkip(version)

  describe
    .skipIf(skip)
    .concurrent(`what only moves the first revision is no loss, nats-server ${version}`, () => {
      test(
        `a hot set of ${KEYS} keys overwritten ${OVERWRITES} times, history 1, causes no resync, watched or away`,
        { timeout: TIMEOUT_MS },
        async () => {
          await using world = await FollowerWorld.start({ version })
          const followed = world.followed({}, 'all', { auditIntervalMs: AUDIT_INTERVAL_MS })
          await overwrite(world, 'hot', KEYS)
          await followed.start()
          await verified(world, followed, 0n)
          const before = followed.status.verifiedThrough!

          await overwrite(world, 'hot', OVERWRITES / 2)
          const cursor = await verified(world, followed, before)
          const watched = followed.status.delivered
          await followed.stop()

          await overwrite(world, 'hot', OVERWRITES / 2)
          const { firstSequence } = await world.bucket.facts()
          expect(firstSequence).toBeGreaterThan(cursor + 1n)
          await followed.start()
          const through = await verified(world, followed, cursor)

          expect(resyncs(followed)).toEqual([])
          await world.untilRight(followed)
          expect(followed.status).toMatchObject({ delivered: KEYS, relisted: 0, entries: KEYS })
          console.log(
            `nats-server ${world.server.version}, ${KEYS} hot keys, ${OVERWRITES} overwrites: ${watched} delivered while watched; ` +
              `away, the first revision went to ${firstSequence} over the cursor ${cursor}; ${followed.status.delivered} delivered ` +
              `after the restart, no resync, verified through ${before}, ${cursor}, ${through}`,
          )
        },
      )

      test.each(QUIET)(
        `%s beside ${OVERWRITES} writes elsewhere, watched or away, resumes after a restart without a resync`,
        { timeout: TIMEOUT_MS },
        async (_title, scope) => {
          await using world = await FollowerWorld.start({ version })
          const followed = world.followed({}, scope, { auditIntervalMs: AUDIT_INTERVAL_MS })
          await overwrite(world, 'quiet', KEYS)
          await followed.start()
          await verified(world, followed, 0n)

          await overwrite(world, 'elsewhere', OVERWRITES / 2)
          const cursor = await verified(world, followed, BigInt(KEYS))
          expect(followed.status.delivered).toBe(KEYS)
          await followed.stop()

          await overwrite(world, 'elsewhere', OVERWRITES / 2)
          await followed.start()
          await verified(world, followed, cursor)
          expect(followed.status).toMatchObject({ delivered: 0, relisted: 0, entries: KEYS })

          await world.bucket.put('quiet.0', 'spoken again')
          const through = await verified(world, followed, cursor)
          await world.untilRight(followed, scope)
          expect(followed.status.delivered).toBe(1)
          expect(resyncs(followed)).toEqual([])
          console.log(
            `nats-server ${world.server.version}, ${KEYS} quiet keys, ${OVERWRITES} writes elsewhere: the cursor went to ${cursor}; ` +
              `0 delivered after the restart, 1 of 1 written then, no resync, verified through ${through}`,
          )
        },
      )

      test(
        `a quiet prefix whose keys ${OVERWRITES} writes elsewhere evicted is kept, and resumed where the bucket starts`,
        { timeout: TIMEOUT_MS },
        async () => {
          const settings = { max_msgs: OVERWRITES / 4, discard: 'old' }
          await using world = await FollowerWorld.start({ version, settings })
          const followed = world.followed({}, { prefix: 'quiet.' }, { whenEvicted: 'keep' })
          await overwrite(world, 'quiet', KEYS)
          await followed.start()
          await followed.follower.waitFor(BigInt(KEYS), { timeoutMs: WITHIN_MS })

          // What went by unseen in less than the bucket holds cannot have been evicted unseen.
          for (let step = 0; step < STEPS; step++) {
            await overwrite(world, `elsewhere-${step}`, OVERWRITES / STEPS, OVERWRITES)
            await followed.follower.waitFor((await world.bucket.facts()).lastSequence, {
              timeoutMs: WITHIN_MS,
            })
          }
          const { firstSequence, lastSequence } = await world.bucket.facts()
          expect(firstSequence).toBeGreaterThan(BigInt(KEYS) + 1n)
          await followed.stop()
          await followed.start()
          await followed.follower.caughtUp({ timeoutMs: WITHIN_MS })

          expect(resyncs(followed)).toEqual([])
          expect(followed.status).toMatchObject({ state: 'live', delivered: 0, relisted: 0, entries: KEYS })
          expect(followed.status.appliedCursor.revision).toBe(lastSequence)
          await world.bucket.put('quiet.0', 'spoken again')
          await followed.follower.waitFor(lastSequence + 1n, { timeoutMs: WITHIN_MS })
          expect(followed.fold().get('quiet.0')?.value).toBe('spoken again')
        },
      )
    })
}

/** Puts `count` times, over `keys` keys in turn, as fast as the server takes it. */
async function overwrite(world: FollowerWorld, group: string, count: number, keys = KEYS): Promise<void> {
  await using connection = await NatsConnection.connect({ servers: world.server.url })
  const { writer } = await connection.store(world.bucket.name)
  for await (const outcome of writer.bulk(puts(group, count, keys)))
    if ('error' in outcome) throw outcome.error
}

function* puts(group: string, count: number, keys: number): Generator<BulkOperation> {
  for (let i = 0; i < count; i++) yield { operation: 'put', key: `${group}.${i % keys}`, value: `value ${i}` }
}

/** Resolves with the bucket's last revision when the fold was found equal there; `after` is where it was before. */
async function verified(world: FollowerWorld, followed: Followed, after: bigint): Promise<bigint> {
  const { lastSequence } = await world.bucket.facts()
  expect(lastSequence).toBeGreaterThan(after)
  await untilStatus(
    followed,
    'live and verified',
    ({ state, verifiedThrough }) => state === 'live' && verifiedThrough === lastSequence,
    WITHIN_MS,
  )
  expect(followed.status.appliedCursor.revision).toBe(lastSequence)
  return lastSequence
}

function resyncs(followed: Followed): readonly (string | undefined)[] {
  return followed.events.flatMap(({ state, reason }) => (state === 'resyncing' ? [reason] : []))
}
