import { FollowerWorld, untilStatus } from '@slip/acceptance'
import type { WatchScope } from '@slip/kv-core'
import { natsServerOrSkip, SERVER_MATRIX, startProxy } from '@slip/nats-server'
import { describe, expect, test } from 'vitest'

const KEYS = 30
const CUTS = 3
const WITHIN_MS = 30_000
const SCOPES: readonly (readonly [string, WatchScope])[] = [
  ['every key', 'all'],
  ['a prefix', { prefix: 'quiet.' }],
  ['prefixes', { prefixes: ['quiet.', 'still.'] }],
]

for (const version of SERVER_MATRIX) {
  const { skip } = await natsServerOrSkip(version)

  describe
    .skipIf(skip)
    .concurrent(`a resumed follower that has heard nothing yet, nats-server ${version}`, () => {
      test.each(SCOPES)(
        `of %s: ${CUTS} lost connections and a restarted server replay nothing`,
        { timeout: 4 * WITHIN_MS },
        async (_what, scope) => {
          await using world = await FollowerWorld.start({ version })
          await using proxy = await startProxy({ target: world.server })
          const followed = world.followed({ servers: proxy.url }, scope)
          for (let i = 0; i < KEYS; i++) await world.bucket.put(`quiet.${i}`, 'before')
          await followed.start()
          await followed.follower.caughtUp({ timeoutMs: WITHIN_MS })
          await followed.stop()

          await followed.start()
          await followed.follower.caughtUp({ timeoutMs: WITHIN_MS })
          const cursor = followed.status.appliedCursor.revision
          expect(cursor).toBe(BigInt(KEYS))
          for (let round = 0; round <= CUTS; round++) {
            const { sessions } = followed.status
            if (round < CUTS) proxy.cut()
            else {
              await world.server.restart()
              await world.reconnect()
              await world.jetstream.ready(`STREAM.INFO.KV_${world.bucket.name}`)
            }
            await untilStatus(
              followed,
              'live in a new session',
              (status) => status.state === 'live' && status.sessions > sessions,
              WITHIN_MS,
            )
            expect(followed.status).toMatchObject({ delivered: 0, relisted: 0 })
            expect(followed.status.appliedCursor.revision).toBe(cursor)
          }

          const last = await world.bucket.put('quiet.0', 'after')
          await followed.follower.waitFor(last, { timeoutMs: WITHIN_MS })
          expect(followed.status).toMatchObject({ delivered: 1, relisted: 0 })
          expect(followed.events.filter(({ state }) => state === 'resyncing')).toEqual([])
          await world.untilRight(followed, scope, WITHIN_MS)
        },
      )
    })
}
