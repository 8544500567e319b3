import type { WatchScope } from '@slip/kv-core'
import type { ServerLine } from '@slip/nats-server'

/** The silent divergences of a KV bucket, in the order in which docs name them. */
export type FaultId = 'H1' | 'H2' | 'H3' | 'H4' | 'H5' | 'H6' | 'H7' | 'H8' | 'H9' | 'H10' | 'H11' | 'H12'

/** Where the follower is when the fault happens. */
export type FollowerState = 'live' | 'stopped' | 'hydrating' | 'catchingUp' | 'resync'

/** `part` ends within a token, which no subject filter can say. */
export type ScopeName = 'all' | 'prefix' | 'prefixes' | 'part'

export const FAULTS: readonly FaultId[] = Array.from(
  { length: 12 },
  (_, i): FaultId => `H${i + 1}` as FaultId,
)
export const STATES: readonly FollowerState[] = ['live', 'stopped', 'hydrating', 'catchingUp', 'resync']
export const SCOPES: Readonly<Record<ScopeName, WatchScope>> = {
  all: 'all',
  prefix: { prefix: 'route.' },
  prefixes: { prefixes: ['route.', 'cert.'] },
  part: { prefix: 'rou' },
}

/** Whether the bucket is written to after the fault. Quiet, no later revision helps to notice it. */
export type Aftermath = 'writes' | 'quiet'

/** Whether the fold mirrors the bucket, or keeps what the bucket evicts. */
export type Policy = 'drop' | 'keep'

/** What keeps the fold. */
export type StoreName = 'append log' | 'LMDB'

/** What a cell is, the fault aside. */
export interface Situation {
  readonly version: ServerLine
  readonly state: FollowerState
  readonly scope: ScopeName
  readonly after: Aftermath
  readonly policy: Policy
  readonly store: StoreName
}

export interface Cell extends Situation {
  readonly fault: FaultId
}

const AFTERMATHS: readonly Aftermath[] = ['writes', 'quiet']
/** Those that a server can count the keys of. */
export const COUNTED_SCOPES: readonly ScopeName[] = ['all', 'prefix', 'prefixes']
const SILENT: readonly FaultId[] = ['H1', 'H2', 'H3', 'H4', 'H5', 'H6', 'H7', 'H8']

/** Every cell of one server version and one store. */
export function allCells(version: ServerLine, store: StoreName): readonly Cell[] {
  const policy = 'drop'
  const counted = FAULTS.flatMap((fault) =>
    STATES.flatMap((state) =>
      COUNTED_SCOPES.flatMap((scope) =>
        aftermathsOf(fault).map((after): Cell => ({ version, fault, state, scope, after, policy, store })),
      ),
    ),
  )
  const states: readonly FollowerState[] = ['live', 'stopped']
  const uncounted = SILENT.flatMap((fault) =>
    states.map((state): Cell => ({ version, fault, state, scope: 'part', after: 'quiet', policy, store })),
  )
  return [...counted, ...uncounted, ...keptCells(version, store)]
}

/** A bucket that evicts cannot send such a follower into a repair. */
function keptCells(version: ServerLine, store: StoreName): readonly Cell[] {
  const states = STATES.filter((state) => state !== 'resync')
  return FAULTS.flatMap((fault, i) =>
    states.flatMap((state, j) =>
      aftermathsOf(fault).map((after): Cell => {
        const scope = COUNTED_SCOPES[(i + j) % COUNTED_SCOPES.length]!
        return { version, fault, state, scope, after, policy: 'keep', store }
      }),
    ),
  )
}

/** Each fault in each state once; scopes and aftermaths take turns. */
export function sampleCells(version: ServerLine, store: StoreName): readonly Cell[] {
  return FAULTS.flatMap((fault, i) =>
    STATES.map((state, j): Cell => {
      const scope = COUNTED_SCOPES[(i + j) % COUNTED_SCOPES.length]!
      const aftermaths = aftermathsOf(fault)
      const after = aftermaths[(i + j) % aftermaths.length]!
      return { version, fault, state, scope, after, policy: 'drop', store }
    }),
  )
}

export function cellTitle({ fault, state, scope, after, policy }: Cell): string {
  return `${fault} × ${state} × ${scope}, then ${after}${policy === 'keep' ? ', kept' : ''}`
}

export function isRollback({ fault }: Pick<Cell, 'fault'>): boolean {
  return fault === 'H10' || fault === 'H11'
}

/** A history that stays below the cursor is not written on to. */
function aftermathsOf(fault: FaultId): readonly Aftermath[] {
  return fault === 'H11' ? ['quiet'] : AFTERMATHS
}
