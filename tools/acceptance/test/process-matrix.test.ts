import {
  inPool,
  MatrixServer,
  processCells,
  processShortcomings,
  runProcessCell,
  type ProcessCell,
} from '@slip/acceptance'
import { natsServerOrSkip, SERVER_MATRIX, type ServerLine } from '@slip/nats-server'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const FULL = process.env['SLIP_MATRIX'] === 'full'
const IN_CI: ServerLine = '2.12'
const WIDTH = 4

for (const version of SERVER_MATRIX.filter((line) => FULL || line === IN_CI)) {
  const { skip } = await natsServerOrSkip(version)
  const cells = processCells(version)

  describe.skipIf(skip)(`slip follow, away while its bucket diverges, nats-server ${version}`, () => {
    let server: MatrixServer
    let running: ReadonlyMap<ProcessCell, ReturnType<typeof runProcessCell>>

    beforeAll(async () => {
      server = await MatrixServer.start(version)
      running = inPool(cells, WIDTH, async (cell) => await runProcessCell(server, cell))
    })

    afterAll(async () => {
      await Promise.allSettled(running.values())
      await server[Symbol.asyncDispose]()
    })

    for (const cell of cells)
      test(`${cell.fault} × its process ${cell.process}`, { timeout: 120_000 }, async () => {
        expect(processShortcomings(cell, await running.get(cell)!)).toEqual([])
      })
  })
}
