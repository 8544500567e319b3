import { afterAll, describe, expect, test } from 'vitest'
import { DIVERGENCES } from './memory/divergences.ts'
import { AUDIT_MS } from './memory/memory-world.ts'
import { diverged, MOMENTS, SCOPES } from './memory/moments.ts'
import { settled } from './memory/settled.ts'

const silences: number[] = []

describe.each(DIVERGENCES)('$id, $title', (divergence) => {
  describe.each(MOMENTS)('%s', (moment) => {
    test.each(SCOPES)('%s', async (_name, scope) => {
      await using world = await diverged(divergence, moment, scope)
      const silentMs = await settled(world)
      silences.push(silentMs)
      expect(silentMs).toBeLessThan(AUDIT_MS + 1_000)
    })
  })
})

afterAll(() => {
  const sorted = silences.toSorted((a, b) => a - b)
  const at = (share: number): string => sorted[Math.floor(share * (sorted.length - 1))]!.toFixed(0)
  console.log(
    `${sorted.length} cells; live and wrong for at most ${at(1)} ms, p50 ${at(0.5)}, p99 ${at(0.99)}; audits every ${AUDIT_MS} ms`,
  )
})
