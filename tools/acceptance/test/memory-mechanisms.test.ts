import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { DIVERGENCES } from './memory/divergences.ts'
import { MECHANISMS, NOTICED_BY, without } from './memory/mechanisms.ts'
import { AUDIT_MS } from './memory/memory-world.ts'
import { diverged } from './memory/moments.ts'
import { settled } from './memory/settled.ts'

describe.each(DIVERGENCES)('$id, $title', (divergence) => {
  const { mechanism, moment } = NOTICED_BY[divergence.id]!

  test(`leaves a live fold wrong when the ${mechanism} is off`, async () => {
    await without(MECHANISMS, async () => {
      await using world = await diverged(divergence, moment, 'all')
      await world.follower.caughtUp({ timeoutMs: 10_000 })
      await sleep(4 * AUDIT_MS)
      expect(world.status.state).toBe('live')
      expect(await world.differences()).not.toEqual([])
    })
  })

  test(`is noticed by the ${mechanism} alone`, async () => {
    const others = MECHANISMS.filter((each) => each !== mechanism)
    await without(others, async () => {
      await using world = await diverged(divergence, moment, 'all')
      expect(await settled(world)).toBeLessThan(AUDIT_MS + 1_000)
    })
  })
})
