import { inPool } from '@slip/acceptance'
import type { WatchScope } from '@slip/kv-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DIVERGENCES, type Divergence } from './memory/divergences.ts'
import { AUDIT_MS, STORES, type StoreKind } from './memory/memory-world.ts'
import { diverged, MOMENTS, SCOPES, type Moment } from './memory/moments.ts'
import { settled } from './memory/settled.ts'

const FULL = process.env['SLIP_MATRIX'] === 'full'
/** So many cells run at a time; most of the time each waits for an audit. */
const WIDTH = 3

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

describe.each(STORES)('a fold in the %s', (store) => {
  const cells = CELLS.filter(({ kind }) => kind === store)
  test.each(cells.map((cell) => [titleOf(cell), cell] as const))('%s', async (_title, cell) => {
    const silentMs = await running.get(cell)!
    silences.push(silentMs)
    expect(silentMs).toBeLessThan(AUDIT_MS + 1_000)
  })
})

function titleOf({ divergence, moment, name }: Cell): string {
  return `${divergence.id}, ${divergence.title}: ${moment}, ${name}`
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
