import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startNatsServer, type NatsServer, type ServerLine } from '@slip/nats-server'
import type { Cell } from './cell.ts'
import { CellRun, type Observation } from './cell-run.ts'
import { expectationOf } from './expectation.ts'
import { API_FAULTS } from './faults.ts'
import { MatrixBucket } from './matrix-bucket.ts'
import { RawJetStream } from './raw-jetstream.ts'

/** One server that many cells share, each with a bucket of its own. */
export class MatrixServer implements AsyncDisposable {
  readonly server: NatsServer
  readonly #jetstream: RawJetStream
  readonly #directory: string
  #buckets = 0

  private constructor(server: NatsServer, jetstream: RawJetStream, directory: string) {
    this.server = server
    this.#jetstream = jetstream
    this.#directory = directory
  }

  static async start(version: ServerLine): Promise<MatrixServer> {
    const server = await startNatsServer({ version })
    const jetstream = await RawJetStream.connect(server.url)
    return new MatrixServer(server, jetstream, await mkdtemp(join(tmpdir(), 'slip-matrix-')))
  }

  /** A bucket nobody else uses. */
  bucket(): MatrixBucket {
    return new MatrixBucket(() => this.#jetstream, `cell-${++this.#buckets}`)
  }

  /** A cell whose fault the API causes. */
  async run(cell: Cell): Promise<Observation> {
    const { fault } = cell
    if (fault === 'H10' || fault === 'H11')
      throw new TypeError('a rollback strikes a whole server: it runs in a group')
    await using run = new CellRun(cell, {
      bucket: this.bucket(),
      fault: API_FAULTS[fault],
      serverVersion: this.server.version,
      directory: this.#directory,
      connection: { servers: this.server.url },
      owed: expectationOf(cell).ends === 'kept' ? 'written' : 'listed',
    })
    await run.seed()
    await run.reachState()
    await run.strike()
    await run.release()
    return await run.observe()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#jetstream[Symbol.asyncDispose]()
    await this.server[Symbol.asyncDispose]()
    await rm(this.#directory, { recursive: true, force: true })
  }
}
