import {
  FAULTS,
  MECHANISM_OF,
  MECHANISMS,
  MatrixRun,
  without,
  type Cell,
  type FaultId,
  type Mechanism,
  type Observation,
} from '@slip/acceptance'
import { natsServerOrSkip, type ServerLine } from '@slip/nats-server'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const VERSION: ServerLine = '2.12'
const { skip } = await natsServerOrSkip(VERSION)

/** A follower that was away is the one that only its own mechanisms can tell. */
function cellOf(fault: FaultId): Cell {
  return {
    version: VERSION,
    fault,
    state: 'stopped',
    scope: 'all',
    after: 'quiet',
    policy: 'drop',
    store: 'append log',
  }
}

async function observed(faults: readonly FaultId[]): Promise<ReadonlyMap<FaultId, Observation>> {
  const cells = faults.map(cellOf)
  await using run = await MatrixRun.start(VERSION, cells)
  const seen = new Map<FaultId, Observation>()
  for (const cell of cells) seen.set(cell.fault, await run.observation(cell))
  return seen
}

describe.skipIf(skip)(`mechanisms switched off, nats-server ${VERSION}`, () => {
  const unarmed = new Map<FaultId, Observation>()
  const withOwnAlone = new Map<FaultId, Observation>()

  beforeAll(async () => {
    for (const [fault, seen] of await without(MECHANISMS, async () => await observed(FAULTS)))
      unarmed.set(fault, seen)
    for (const mechanism of new Set(Object.values(MECHANISM_OF))) {
      const faults = FAULTS.filter((fault) => MECHANISM_OF[fault] === mechanism)
      const others = MECHANISMS.filter((other) => other !== mechanism)
      for (const [fault, seen] of await without(others, async () => await observed(faults)))
        withOwnAlone.set(fault, seen)
    }
  }, 180_000)

  afterAll(() => {
    console.log(
      FAULTS.map(
        (fault) => `${fault} without ${name(MECHANISM_OF[fault])}: ${claim(unarmed.get(fault)!)}`,
      ).join('\n'),
    )
  })

  for (const fault of FAULTS) {
    const mechanism = MECHANISM_OF[fault]
    test(`${fault} leaves the fold wrong when ${name(mechanism)} is off`, () => {
      const seen = unarmed.get(fault)!
      expect(seen.right).toBe(false)
      expect(seen.repairs).toEqual([])
    })

    test(`${fault} is noticed by ${name(mechanism)} alone`, () => {
      const { right, repairs } = withOwnAlone.get(fault)!
      expect({ right, repaired: repairs.length > 0 }).toEqual({ right: true, repaired: true })
    })
  }
})

const NAMES: Readonly<Record<Mechanism, string>> = {
  count: 'the count of keys',
  incarnation: "the bucket's incarnation",
  lastRevision: 'the last revision',
  history: 'the history proof',
  revisions: 'the audit of revisions',
}

function name(mechanism: Mechanism): string {
  return NAMES[mechanism]
}

function claim({ status, differences }: Observation): string {
  const { state, reason, verifiedThrough } = status
  const what = reason === undefined ? state : `${state} (${reason})`
  return `${what}, verified through ${verifiedThrough}, but ${differences[0]}`
}
