import { atLeast } from '@slip/nats-server'
import type { Cell } from './cell.ts'
import type { NetworkCell } from './network-cell.ts'

/** Something that is missing. */
interface KnownGap<C> {
  readonly what: string
  /** These cells have to fail, so that whoever closes the gap takes it off the list. */
  covers(cell: C): boolean
  /** These may fail for the same reason, as it falls out. */
  touches?(cell: C): boolean
}

/** The gap a cell has to fail for, or may fail for. */
export interface GapOfCell {
  readonly what: string
  readonly fails: 'always' | 'perhaps'
}

const KNOWN_GAPS: readonly KnownGap<Cell>[] = [
  {
    what: 'a server before 2.11 contradicts itself about the key for a while: more than one repair, and a late one',
    covers: () => false,
    touches: ({ fault, version }) => fault === 'H12' && !atLeast(version, '2.11'),
  },
]

const NETWORK_GAPS: readonly KnownGap<NetworkCell>[] = [
  {
    what: 'a request made while the connection is down is lost, and waited for until its time-out of 5 s',
    // Whether a request is under way just then is chance.
    covers: () => false,
    touches: ({ fault }) => ['cut', 'killed', 'stopped', 'refused'].includes(fault),
  },
]

export function knownGapOf(cell: Cell): GapOfCell | undefined {
  return gapOf(cell, KNOWN_GAPS)
}

export function networkGapOf(cell: NetworkCell): GapOfCell | undefined {
  return gapOf(cell, NETWORK_GAPS)
}

function gapOf<C>(cell: C, gaps: readonly KnownGap<C>[]): GapOfCell | undefined {
  const always = gaps.find((gap) => gap.covers(cell))
  if (always !== undefined) return { what: always.what, fails: 'always' }
  const perhaps = gaps.find((gap) => gap.touches?.(cell) === true)
  return perhaps === undefined ? undefined : { what: perhaps.what, fails: 'perhaps' }
}
