import { afterAll, describe, expect, test } from 'vitest'
import { DIVERGENCES, type Divergence } from './memory/divergences.ts'
import { AUDIT_MS, STORES, type StoreKind } from './memory/memory-world.ts'
import { diverged, MOMENTS, SCOPES, type Moment } from './memory/moments.ts'
import { settled } from './memory/settled.ts'

const FULL = process.env['SLIP_MATRIX'] === 'full'

const silences: number[] = []

describe.each(STORES)('a fold in the %s', (kind) => {
  describe.each(DIVERGENCES)('$id, $title', (divergence) => {
    describe.each(MOMENTS)('%s', (moment) => {
      test.each(scopesOf(kind, divergence, moment))('%s', async (_name, scope) => {
        await using world = await diverged(divergence, moment, scope, kind)
        const silentMs = await settled(world)
        silences.push(silentMs)
        expect(silentMs).toBeLessThan(AUDIT_MS + 1_000)
      })
    })
  })
})

/** All of them for the first store. For another each divergence in each moment once, the scopes in turn. */
function scopesOf(kind: StoreKind, divergence: Divergence, moment: Moment): typeof SCOPES {
  if (FULL || kind === STORES[0]) return SCOPES
  const turn = DIVERGENCES.indexOf(divergence) + MOMENTS.indexOf(moment)
  return [SCOPES[turn % SCOPES.length]!]
}

afterAll(() => {
  const sorted = silences.toSorted((a, b) => a - b)
  const at = (share: number): string => sorted[Math.floor(share * (sorted.length - 1))]!.toFixed(0)
  console.log(
    `${sorted.length} cells; live and wrong for at most ${at(1)} ms, p50 ${at(0.5)}, p99 ${at(0.99)}; audits every ${AUDIT_MS} ms`,
  )
})
