import { atLeast } from '@slip/nats-server'
import type { Cell } from './cell.ts'

/** Something that is missing, and the cells that may fail for it, as it falls out. */
interface KnownGap {
  readonly what: string
  touches(cell: Cell): boolean
}

const KNOWN_GAPS: readonly KnownGap[] = [
  {
    what: 'a server before 2.11 contradicts itself about the key for a while: more than one repair, and a late one',
    touches: ({ fault, version }) => fault === 'H12' && !atLeast(version, '2.11'),
  },
]

/** What is missing for this cell. */
export function knownGapOf(cell: Cell): string | undefined {
  return KNOWN_GAPS.find((gap) => gap.touches(cell))?.what
}
