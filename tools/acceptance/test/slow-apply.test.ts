import { setTimeout as wait } from 'node:timers/promises'
import { FollowerWorld } from '@slip/acceptance'
import { natsServerOrSkip } from '@slip/nats-server'
import { expect, test } from 'vitest'

const VERSION = '2.12'
/** Longer than a session without signs of life lasts, and than a follower that stands still says live. */
const SLOW_MS = 8_000
const WITHIN_MS = 30_000

const { skip } = await natsServerOrSkip(VERSION)

test.skipIf(skip)(
  `an apply that takes ${SLOW_MS} ms costs no session: reads go on, live is not claimed, and nothing comes twice`,
  async () => {
    await using world = await FollowerWorld.start({ version: VERSION })
    const followed = world.followed({}, 'all', { batch: { maxCount: 100 } })
    for (let i = 0; i < 50; i++) await world.bucket.put(`key.${i}`, 'before')
    await followed.start()
    await followed.follower.caughtUp({ timeoutMs: WITHIN_MS })
    followed.holdAt({ phase: 'live', above: 50n })
    await world.bucket.put('key.0', 'goes through')
    await followed.follower.waitFor(51n, { timeoutMs: WITHIN_MS })
    let written = 51n
    const from = performance.now()
    const states = followed.events.length
    while (performance.now() - from < SLOW_MS) {
      written = await world.bucket.put(`key.${Number(written) % 70}`, `value ${written}`)
      expect(followed.fold().get('key.0')?.value).toBe('goes through')
      await wait(20)
    }
    await followed.held()
    expect(followed.events.slice(states).map(({ state }) => state)).toEqual(['stale'])
    followed.letGo()
    await followed.follower.waitFor(written, { timeoutMs: WITHIN_MS })
    await world.untilRight(followed)
    expect(followed.status).toMatchObject({
      state: 'live',
      sessions: 1,
      delivered: Number(written),
      relisted: 0,
    })
  },
)
