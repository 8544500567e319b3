import { inPool } from '@slip/acceptance'
import type { WatchScope } from '@slip/kv-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DIVERGENCES, type Divergence } from './memory/divergences.ts'
import { AUDIT_MS, STORES, type StoreKind } from './memory/memory-world.ts'
import { diverged, MOMENTS, SCOPES, type Moment } from './memory/moments.ts'
import { settled } from './memory/settled.ts'

const FULL = process.env['SLIP_MATRIX'] === 'full'
const MOST_SILENT_MS = AUDIT_MS + 1_000
/** So many cells run at a time; most of the time each waits for an audit. */
const WIDTH = 2
const TIMEOUT_MS = 300_000

interface Cell {
  readonly kind: StoreKind
  readonly divergence: Divergence
  readonly moment: Moment
  readonly name: string
  readonly scope: WatchScope
}

const CELLS: readonly Cell[] = STORES.flatMap((kind) =>
  DIVERGENCES.flatMap((divergence) =>
    MOMENTS.flatMap((moment) =>
      scopesOf(kind, divergence, moment).map(([name, scope]) => ({ kind, divergence, moment, name, scope })),
    ),
  ),
)

const silences: number[] = []
let running: ReadonlyMap<Cell, Promise<number>>

beforeAll(() => {
  running = inPool(CELLS, WIDTH, silenceOf)
})

afterAll(async () => {
  await Promise.allSettled(running.values())
  const sorted = silences.toSorted((a, b) => a - b)
  const at = (share: number): string => sorted[Math.floor(share * (sorted.length - 1))]!.toFixed(0)
  console.log(
    `${sorted.length} cells; live and wrong for at most ${at(1)} ms, p50 ${at(0.5)}, p99 ${at(0.99)}; audits every ${AUDIT_MS} ms`,
  )
})

describe.each(STORES)('a fold in the %s', (kind) => {
  describe.each(DIVERGENCES)('$id, $title', (divergence) => {
    describe.each(MOMENTS)('%s', (moment) => {
      const here = (cell: Cell): boolean =>
        cell.kind === kind && cell.divergence === divergence && cell.moment === moment
      test.each(CELLS.filter(here))('$name', { timeout: TIMEOUT_MS }, async (cell) => {
        const silentMs = await observed(cell)
        silences.push(silentMs)
        expect(silentMs).toBeLessThan(MOST_SILENT_MS)
      })
    })
  })
})

/** One that was late has another go when nothing else runs. */
async function observed(cell: Cell): Promise<number> {
  const first = await running.get(cell)!
  if (first < MOST_SILENT_MS) return first
  await Promise.allSettled(running.values())
  return await silenceOf(cell)
}

/** For how long the fold of a cell was live and wrong, in milliseconds. */
async function silenceOf({ divergence, moment, scope, kind }: Cell): Promise<number> {
  await using world = await diverged(divergence, moment, scope, kind)
  return await settled(world)
}

/** All of them for the first store. For another each divergence in each moment once, the scopes in turn. */
function scopesOf(kind: StoreKind, divergence: Divergence, moment: Moment): typeof SCOPES {
  if (FULL || kind === STORES[0]) return SCOPES
  const turn = DIVERGENCES.indexOf(divergence) + MOMENTS.indexOf(moment)
  return [SCOPES[turn % SCOPES.length]!]
}
