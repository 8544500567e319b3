import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { ServerLine } from '@slip/nats-server'
import { FollowProcess, slip, type Line } from '../slip-process.ts'
import { FAULTS, isRollback, type FaultId } from './cell.ts'
import { BUDGET_MS } from './cell-run.ts'
import { repairOf } from './expectation.ts'
import { API_FAULTS } from './faults.ts'
import { AUDIT_INTERVAL_MS } from './followed-fold.ts'
import { differences } from './holdings.ts'
import type { Holding } from './matrix-bucket.ts'
import type { MatrixServer } from './matrix-server.ts'
import { advance, seed, writeOn } from './workload.ts'

export type ApiFaultId = keyof typeof API_FAULTS

/** How a follower's process is away while the fault happens. */
export type ProcessState = 'killed' | 'frozen'

export interface ProcessCell {
  readonly version: ServerLine
  readonly fault: ApiFaultId
  readonly process: ProcessState
}

export interface ProcessObservation {
  /** From seeing the bucket again to the line that says live and verified. */
  readonly verifiedMs: number
  readonly repairs: readonly string[]
  readonly differences: readonly string[]
}

/** Its lines come once a second where no state changes. */
const VERIFIED_BUDGET_MS = BUDGET_MS + 1_000
const FROZEN_MS = 3_000
const READY_WITHIN_MS = 20_000
const ATTACHED: ReadonlySet<unknown> = new Set(['catchingUp', 'resyncing', 'live'])

/** Every fault of the API while the process is gone or stands still. */
export function processCells(version: ServerLine): readonly ProcessCell[] {
  const faults = FAULTS.filter((fault): fault is FaultId & ApiFaultId => !isRollback({ fault }))
  const states: readonly ProcessState[] = ['killed', 'frozen']
  return faults.flatMap((fault) => states.map((process) => ({ version, fault, process })))
}

/** What is wrong with how a cell ended. */
export function processShortcomings(cell: ProcessCell, seen: ProcessObservation): readonly string[] {
  const { differences: found, repairs, verifiedMs } = seen
  const expected = repairOf(cell)
  const allowed: readonly string[] = expected.ends === 'repaired' ? expected.by : []
  return [
    ...found,
    ...(verifiedMs > VERIFIED_BUDGET_MS ? [`verified only after ${verifiedMs.toFixed(0)} ms`] : []),
    ...repairs.filter((reason) => !allowed.includes(reason)).map((reason) => `repaired for ${reason}`),
    ...(expected.ends === 'repaired' && repairs.length === 0 ? ['nothing was repaired'] : []),
  ]
}

/** A `slip follow` as a user runs it, away in the middle of its life. */
export async function runProcessCell(server: MatrixServer, cell: ProcessCell): Promise<ProcessObservation> {
  const directory = await mkdtemp(join(tmpdir(), 'slip-matrix-'))
  const bucket = server.bucket()
  const fold = `log:${join(directory, 'b.slip')}`
  const { version, url } = server.server
  const args = [bucket.name, '--fold', fold, '--server', url, '--audit', `${AUDIT_INTERVAL_MS}ms`]
  const fault = API_FAULTS[cell.fault]
  await bucket.create(fault.settings)
  await seed(bucket)
  await fault.prepare?.(bucket)
  let follower = FollowProcess.start(args)
  try {
    const reached = Number(await advance(bucket, 'first'))
    await follower.until((line) => line['state'] === 'live' && Number(line['revision']) >= reached)

    if (cell.process === 'killed') await follower.kill()
    else follower.signal('SIGSTOP')
    const awayFrom = performance.now()
    await fault.cause(bucket, { serverVersion: version, advances: ['first'] })
    await writeOn(bucket)
    if (cell.process === 'frozen') await wait(awayFrom + FROZEN_MS - performance.now())
    const from = follower.lines.length
    if (cell.process === 'killed') follower = FollowProcess.start(args)
    else follower.signal('SIGCONT')

    await follower.until((line) => ATTACHED.has(line['state']), {
      from: cell.process === 'killed' ? 0 : from,
    })
    const seenAt = performance.now()
    const last = Number((await bucket.facts()).lastSequence)
    const verified = (line: Line): boolean => line['state'] === 'live' && line['verifiedThrough'] === last
    const { lines } = follower
    const first = cell.process === 'killed' ? 0 : from
    await follower.until(verified, { from: first, timeoutMs: READY_WITHIN_MS })
    const verifiedMs = performance.now() - seenAt
    return {
      verifiedMs,
      repairs: lines
        .slice(first)
        .flatMap(({ state, reason }) => (state === 'resyncing' ? [String(reason)] : [])),
      differences: differences('the fold', await dumped(fold), await bucket.listing([''])),
    }
  } finally {
    follower.signal('SIGCONT')
    await follower.kill()
    await rm(directory, { recursive: true, force: true })
    await bucket.destroy().catch(() => undefined)
  }
}

async function dumped(fold: string): Promise<Holding> {
  const { lines, code, stderr } = await slip(['dump', fold])
  if (code !== 0) throw new Error(`dump ended with ${code}: ${stderr}`)
  return new Map(
    lines.map(({ key, value, revision }) => [
      key as string,
      { value: Buffer.from(value as string, 'base64').toString(), revision: BigInt(revision as number) },
    ]),
  )
}
