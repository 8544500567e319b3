import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startNatsServer, startProxy, type ServerLine } from '@slip/nats-server'
import { COUNTED_SCOPES, type Situation } from './cell.ts'
import { CellRun, type Observation } from './cell-run.ts'
import type { Fault } from './faults.ts'
import { MatrixBucket } from './matrix-bucket.ts'
import { NETWORK_FAULTS, STALE_AFTER_MS, type NetworkFaultId } from './network-faults.ts'
import { RawJetStream } from './raw-jetstream.ts'
import { writeOn } from './workload.ts'

export interface NetworkCell extends Situation {
  readonly fault: NetworkFaultId
}

/** Every fault of the network in every state it can be seen in; the scopes take turns. */
export function networkCells(version: ServerLine): readonly NetworkCell[] {
  const faults = Object.keys(NETWORK_FAULTS) as NetworkFaultId[]
  return faults.flatMap((fault, i) =>
    (['live', 'hydrating', 'catchingUp', 'resync'] as const).map((state, j) => {
      const scope = COUNTED_SCOPES[(i + j) % COUNTED_SCOPES.length]!
      return {
        version,
        fault,
        state,
        scope,
        after: 'quiet',
        policy: 'drop',
        store: 'append log',
      } as const
    }),
  )
}

/**
 * One cell with a server of its own, which the follower reaches through a proxy. While the follower
 * cannot see it the bucket is written to, and loses a key with nobody told.
 */
export async function runNetworkCell(cell: NetworkCell): Promise<Observation> {
  await using server = await startNatsServer({ version: cell.version })
  await using proxy = await startProxy({ target: server })
  const directory = await mkdtemp(join(tmpdir(), 'slip-matrix-'))
  let jetstream = await RawJetStream.connect(server.url)
  try {
    const bucket = new MatrixBucket(() => jetstream, 'b')
    const fault: Fault = {
      title: NETWORK_FAULTS[cell.fault].title,
      cause: async () => {
        const network = {
          server,
          proxy,
          change: async () => {
            await bucket.purge('*.5')
            await writeOn(bucket)
          },
          reconnect: async () => {
            await jetstream[Symbol.asyncDispose]()
            jetstream = await RawJetStream.connect(server.url)
            await jetstream.ready()
          },
        }
        await NETWORK_FAULTS[cell.fault].strike(network, cell.state === 'live' ? run.followed : undefined)
      },
    }
    await using run = new CellRun(cell, {
      bucket,
      fault,
      serverVersion: server.version,
      directory,
      connection: { servers: proxy.url },
      owed: 'listed',
      follow: { staleAfterMs: STALE_AFTER_MS },
      sees: 'faultOver',
    })
    await run.seed()
    await run.reachState()
    await run.strike()
    await run.release()
    return await run.observe()
  } finally {
    await jetstream[Symbol.asyncDispose]()
    await rm(directory, { recursive: true, force: true })
  }
}
