import { WatchCursor, type KvUpdate, type WatchScope } from '@slip/kv-core'
import { atLeast, natsServerOrSkip, SERVER_MATRIX } from '@slip/nats-server'
import { describe, expect, test } from 'vitest'

import { World } from './session-fixture.ts'

const SCOPES: readonly (readonly [string, WatchScope])[] = [
  ['every key', 'all'],
  ['a prefix', { prefix: 'lease.' }],
  ['prefixes', { prefixes: ['lease.', 'other.'] }],
  ['part of a token', { prefix: 'lea' }],
]

for (const version of SERVER_MATRIX.filter((line) => atLeast(line, '2.11'))) {
  const { skip } = await natsServerOrSkip(version)

  describe.skipIf(skip)(`a key that expires, nats-server ${version}`, () => {
    test.each(SCOPES)(
      'is a delete to a watch of %s: live, from the start, and resumed',
      async (_what, scope) => {
        await using world = await World.create(version, { markerTTL: 60_000 })
        await world.bucket.put('lease.stays', 'held')
        const live = await world.read(scope).untilCaughtUp()
        await world.bucket.create('lease.goes', 'held', '1s')
        await live.until('the expiry', () => live.updates.length >= 3)
        expect(live.updates.map(({ operation }) => operation)).toEqual(['put', 'put', 'delete'])
        const expired: Partial<KvUpdate> = { operation: 'delete', key: 'lease.goes', reason: 'expired' }
        expect(live.updates[2]).toMatchObject(expired)

        const after = WatchCursor.fromRevision(2n)
        const resumed = await world.read(scope, { after }).untilCaughtUp()
        expect(resumed.updates).toEqual([expect.objectContaining(expired)])
        const fresh = await world.read(scope, { emptyValues: 'keep' }).untilCaughtUp()
        expect([...fresh.state]).toEqual([['lease.stays', 'held']])
      },
    )
  })
}
