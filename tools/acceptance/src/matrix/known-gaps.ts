import { isRollback, type Cell } from './cell.ts'

/** Something that is missing. */
export interface KnownGap {
  readonly what: string
  /** These cells have to fail, so that whoever closes the gap takes it off the list. */
  covers(cell: Cell): boolean
  /** These may fail for the same reason, as it falls out. */
  touches?(cell: Cell): boolean
}

const KNOWN_GAPS: readonly KnownGap[] = [
  {
    what: 'the history of a bucket is not compared: a rollback whose revisions were used again passes',
    covers: ({ fault }) => fault === 'H10',
  },
  {
    what: 'revisions are not compared where a bucket keeps several of a key',
    covers: ({ fault }) => fault === 'H12',
  },
  {
    what: 'keys that vanish during a rebuild for a wrong count make the count distrusted, not the fold',
    covers: ({ fault, state, after }) =>
      state === 'resync' && after === 'quiet' && ['H1', 'H2', 'H3', 'H4', 'H5', 'H7'].includes(fault),
    touches: (cell) => !isRollback(cell) && (cell.state === 'resync' || cell.fault === 'H4'),
  },
]

/** The gap a cell has to fail for, or may fail for. */
export function knownGapOf(
  cell: Cell,
): { readonly what: string; readonly fails: 'always' | 'perhaps' } | undefined {
  const always = KNOWN_GAPS.find((gap) => gap.covers(cell))
  if (always !== undefined) return { what: always.what, fails: 'always' }
  const perhaps = KNOWN_GAPS.find((gap) => gap.touches?.(cell) === true)
  return perhaps === undefined ? undefined : { what: perhaps.what, fails: 'perhaps' }
}
