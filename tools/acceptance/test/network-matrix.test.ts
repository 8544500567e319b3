import {
  inPool,
  isLate,
  NETWORK_FAULTS,
  networkCells,
  runNetworkCell,
  shortcomings,
  type NetworkCell,
} from '@slip/acceptance'
import { natsServerOrSkip, SERVER_MATRIX, type ServerLine } from '@slip/nats-server'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const FULL = process.env['SLIP_MATRIX'] === 'full'
const IN_CI: ServerLine = '2.12'
const WIDTH = 8

type Observing = ReturnType<typeof runNetworkCell>

for (const version of SERVER_MATRIX.filter((line) => FULL || line === IN_CI)) {
  const { skip } = await natsServerOrSkip(version)
  const cells = networkCells(version)

  describe.skipIf(skip)(`a follower behind a faulty network or server, nats-server ${version}`, () => {
    const lines: string[] = []
    let running: ReadonlyMap<NetworkCell, Observing>

    beforeAll(() => {
      running = inPool(cells, WIDTH, runNetworkCell)
    })

    afterAll(() => {
      console.log(
        [`faults of the network, nats-server ${version}: ${cells.length} cells`, ...lines].join('\n'),
      )
    })

    for (const cell of cells) {
      const { title } = NETWORK_FAULTS[cell.fault]
      test(`${title} × ${cell.state} × ${cell.scope}`, { timeout: 120_000 }, async () => {
        const seen = await observed(cell, running)
        expect(shortcomings({ ends: 'repaired', by: ['countMismatch'] }, seen)).toEqual([])
        const after = `repaired after ${seen.rightMs!.toFixed(0)} ms`
        lines.push(`  ${title} × ${cell.state} × ${cell.scope}: ${after}`)
      })
    }
  })
}

/** One that was late has another go when nothing else runs. */
async function observed(cell: NetworkCell, running: ReadonlyMap<NetworkCell, Observing>): Observing {
  const first = await running.get(cell)!
  if (!isLate(first)) return first
  await Promise.allSettled(running.values())
  return await runNetworkCell(cell)
}
