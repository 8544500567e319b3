import { setTimeout as wait } from 'node:timers/promises'

import { natsServerOrSkip } from '@slip/nats-server'
import { expect, test } from 'vitest'

import { World } from './session-fixture.ts'

const { skip } = await natsServerOrSkip('2.12')

test.skipIf(skip)('a stalled event loop is not taken for a dead server', async () => {
  await using world = await World.create('2.12')
  const reader = await world.read().untilCaughtUp()
  const until = performance.now() + 4_000
  while (performance.now() < until);
  await world.publish('a', 'v')
  await reader.until('a', () => reader.keys.includes('a'))
  await wait(600)
  expect(reader.ended).toBeUndefined()
})
