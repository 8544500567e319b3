import {
  allCells,
  cellTitle,
  expectationOf,
  isLate,
  MatrixRun,
  outcomeTable,
  sampleCells,
  shortcomings,
  type Cell,
  type CellOutcome,
  type StoreName,
} from '@slip/acceptance'
import { natsServerOrSkip, SERVER_MATRIX, type ServerLine } from '@slip/nats-server'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const FULL = process.env['SLIP_MATRIX'] === 'full'
const IN_FULL: ServerLine = '2.12'
const CELL_TIMEOUT_MS = 120_000
/** Each of the two files a rebuild opens in LMDB starts a thread. */
const REPAIR_MS: Readonly<Record<StoreName, number>> = { 'append log': 0, LMDB: 3_000 }
const BOTH: readonly StoreName[] = ['append log', 'LMDB']

for (const version of SERVER_MATRIX) {
  const { skip } = await natsServerOrSkip(version)
  const stores = FULL || version === IN_FULL ? BOTH : BOTH.slice(0, 1)

  describe.skipIf(skip)(`every silent divergence on nats-server ${version} is repaired or told`, () => {
    describe.each(stores)('a fold in the %s', (store) => {
      const whole = FULL || (version === IN_FULL && store === 'append log')
      const cells = whole ? allCells(version, store) : sampleCells(version, store)
      const outcomes: CellOutcome[] = []
      let run: MatrixRun

      beforeAll(async () => {
        run = await MatrixRun.start(version, cells)
      })

      afterAll(async () => {
        await run[Symbol.asyncDispose]()
        console.log(outcomeTable(run.serverVersion, store, outcomes))
      })

      for (const cell of cells)
        test(cellTitle(cell), { timeout: CELL_TIMEOUT_MS }, async () => {
          outcomes.push(await judged(run, cell))
        })
    })
  })
}

async function judged(run: MatrixRun, cell: Cell): Promise<CellOutcome> {
  const expected = expectationOf(cell)
  let seen = await run.observation(cell)
  const limits = { repairMs: REPAIR_MS[cell.store] }
  let found = shortcomings(expected, seen, limits)
  if (found.length > 0 && isLate(seen)) {
    seen = await run.alone(cell)
    found = shortcomings(expected, seen, limits)
  }
  expect(found).toEqual([])
  return { cell, end: expected.ends, seen }
}
