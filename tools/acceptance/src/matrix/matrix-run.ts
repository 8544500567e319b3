import type { ServerLine } from '@slip/nats-server'
import { cellTitle, isRollback, type Cell, type StoreName } from './cell.ts'
import type { Observation } from './cell-run.ts'
import { MatrixServer } from './matrix-server.ts'
import { inPool } from './pool.ts'
import { runRollbackCells } from './rollback-group.ts'

/** So many cells run at a time; most of the time each waits. A thread is started for each file that LMDB opens. */
const WIDTH: Readonly<Record<StoreName, number>> = { 'append log': 16, LMDB: 6 }

/** All cells of one server version under way; each can be waited for by itself. */
export class MatrixRun implements AsyncDisposable {
  readonly serverVersion: string
  readonly #server: MatrixServer
  readonly #observations: ReadonlyMap<Cell, Promise<Observation>>

  private constructor(server: MatrixServer, observations: ReadonlyMap<Cell, Promise<Observation>>) {
    this.#server = server
    this.serverVersion = server.server.version
    this.#observations = observations
  }

  /** `cells` are of one store. */
  static async start(version: ServerLine, cells: readonly Cell[]): Promise<MatrixRun> {
    const server = await MatrixServer.start(version)
    const rolled = cells.filter(isRollback)
    const group = runRollbackCells(version, rolled)
    group.catch(() => undefined)
    const others = cells.filter((cell) => !isRollback(cell))
    const pool = inPool(
      others,
      WIDTH[cells[0]?.store ?? 'append log'],
      async (cell) => await server.run(cell),
    )
    const ofGroup = rolled.map((cell) => [cell, fromGroup(group, cell)] as const)
    return new MatrixRun(server, new Map([...pool, ...ofGroup]))
  }

  async observation(cell: Cell): Promise<Observation> {
    const observation = this.#observations.get(cell)
    if (observation === undefined) throw new Error(`${cellTitle(cell)} is not part of this run`)
    return await observation
  }

  /**
   * The cell once more with nothing beside it, when all others are done: for one that was late, in case
   * it only had to wait for its turn on the processor.
   */
  async alone(cell: Cell): Promise<Observation> {
    await Promise.allSettled(this.#observations.values())
    return isRollback(cell)
      ? await fromGroup(runRollbackCells(cell.version, [cell]), cell)
      : await this.#server.run(cell)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled(this.#observations.values())
    await this.#server[Symbol.asyncDispose]()
  }
}

async function fromGroup(
  group: Promise<ReadonlyMap<Cell, Observation | Error>>,
  cell: Cell,
): Promise<Observation> {
  const found = (await group).get(cell)
  if (found === undefined) throw new Error(`${cellTitle(cell)} was not observed`)
  if (found instanceof Error) throw found
  return found
}
