import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { startNatsServer, startProxy, type NatsServer, type Proxy, type ServerLine } from '@slip/nats-server'
import type { Cell } from './cell.ts'
import { CellRun, type Observation } from './cell-run.ts'
import type { Fault } from './faults.ts'
import { MatrixBucket } from './matrix-bucket.ts'
import { RawJetStream } from './raw-jetstream.ts'
import { advanceOtherwise } from './workload.ts'

const RECONNECTED_AFTER_MS = 700
/** More than are written to a bucket between the advances. */
const REWRITES = 5

/**
 * Cells whose server goes back to an older copy of its data, all at the same moment. The followers come
 * through a proxy that lets nobody in until the rewritten history stands.
 */
export async function runRollbackCells(
  version: ServerLine,
  cells: readonly Cell[],
): Promise<ReadonlyMap<Cell, Observation | Error>> {
  if (cells.length === 0) return new Map()
  await using world = await RollbackWorld.start(version)
  const runs = cells.map((cell, i) => ({
    cell,
    run: world.runOf(cell, `rolled-${i}`),
    failure: undefined as Error | undefined,
  }))
  const each = async (step: (run: CellRun, cell: Cell) => Promise<void>): Promise<void> => {
    await Promise.all(
      runs
        .filter(({ failure }) => failure === undefined)
        .map(async (entry) => {
          try {
            await step(entry.run, entry.cell)
          } catch (error) {
            entry.failure = error instanceof Error ? error : new Error(String(error))
          }
        }),
    )
  }
  try {
    await each(async (run) => await run.seed())
    await world.remember()
    await each(async (run) => await run.reachState())
    await world.goBack()
    await each(async (run) => await run.strike())
    await world.letIn()
    await each(async (run) => await run.release())
    const observed = new Map<Cell, Observation | Error>()
    await each(async (run, cell) => void observed.set(cell, await run.observe()))
    for (const { cell, failure } of runs) if (failure !== undefined) observed.set(cell, failure)
    return observed
  } finally {
    await Promise.all(runs.map(async ({ run }) => await run[Symbol.asyncDispose]()))
  }
}

/** The histories that follow a rollback: one that grows beyond every cursor, and one that stays below. */
export const ROLLBACKS: Readonly<Record<'H10' | 'H11', Fault>> = {
  H10: {
    title: 'the server rolled back, its revisions used again',
    cause: async (bucket, { advances }) => {
      for (const name of advances) await advanceOtherwise(bucket, name)
      for (let i = 0; i < REWRITES; i++) await bucket.put('route.6', `other ${i}`)
    },
  },
  H11: {
    title: 'the cursor above the last revision',
    cause: async (bucket) => void (await bucket.put('route.6', 'other')),
  },
}

class RollbackWorld implements AsyncDisposable {
  readonly #server: NatsServer
  readonly #proxy: Proxy
  readonly #directory: string
  #jetstream: RawJetStream

  private constructor(server: NatsServer, proxy: Proxy, directory: string, jetstream: RawJetStream) {
    this.#server = server
    this.#proxy = proxy
    this.#directory = directory
    this.#jetstream = jetstream
  }

  static async start(version: ServerLine): Promise<RollbackWorld> {
    const server = await startNatsServer({ version })
    const proxy = await startProxy({ target: server })
    const directory = await mkdtemp(join(tmpdir(), 'slip-matrix-'))
    return new RollbackWorld(server, proxy, directory, await RawJetStream.connect(server.url))
  }

  runOf(cell: Cell, name: string): CellRun {
    const { fault } = cell
    if (fault !== 'H10' && fault !== 'H11') throw new TypeError(`${fault} is no rollback`)
    return new CellRun(cell, {
      bucket: new MatrixBucket(() => this.#jetstream, name),
      fault: ROLLBACKS[fault],
      serverVersion: this.#server.version,
      directory: this.#directory,
      connection: { servers: this.#proxy.url },
      owed: 'listed',
    })
  }

  /** Copies the data of the server while it is properly down. */
  async remember(): Promise<void> {
    await this.#server.kill('SIGTERM')
    await cp(this.#server.storeDirectory, this.#copy, { recursive: true })
    await this.#up()
  }

  /** Puts the copy in the place of what was written since. */
  async goBack(): Promise<void> {
    this.#proxy.refuse()
    await this.#server.kill()
    await rm(this.#server.storeDirectory, { recursive: true, force: true })
    await cp(this.#copy, this.#server.storeDirectory, { recursive: true })
    await this.#up()
  }

  /** Resolves when every client has had the time to come back. */
  async letIn(): Promise<void> {
    this.#proxy.release()
    await wait(RECONNECTED_AFTER_MS)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#jetstream[Symbol.asyncDispose]()
    await this.#proxy[Symbol.asyncDispose]()
    await this.#server[Symbol.asyncDispose]()
    await rm(this.#directory, { recursive: true, force: true })
  }

  get #copy(): string {
    return join(this.#directory, 'remembered')
  }

  async #up(): Promise<void> {
    await this.#server.restart()
    await this.#jetstream[Symbol.asyncDispose]()
    this.#jetstream = await RawJetStream.connect(this.#server.url)
    await this.#jetstream.ready()
  }
}
