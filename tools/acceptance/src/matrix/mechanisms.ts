import { protocol, type AttachInput, type Protocol, type RebuildReason } from '@slip/kv-core'
import type { FaultId } from './cell.ts'

/** What a follower notices divergences by. */
export type Mechanism = 'count' | 'incarnation' | 'lastRevision' | 'history' | 'revisions'

export const MECHANISMS: readonly Mechanism[] = [
  'count',
  'incarnation',
  'lastRevision',
  'history',
  'revisions',
]

/** The one that has to notice each of them without help. */
export const MECHANISM_OF: Readonly<Record<FaultId, Mechanism>> = {
  H1: 'count',
  H2: 'count',
  H3: 'count',
  H4: 'count',
  H5: 'count',
  H6: 'count',
  H7: 'count',
  H8: 'count',
  H9: 'incarnation',
  H10: 'history',
  H11: 'lastRevision',
  H12: 'revisions',
}

type Table = { -readonly [K in keyof Protocol]: Protocol[K] }

/**
 * Takes these mechanisms out of the one table that all followers of this process decide by, while `work`
 * runs. Nothing else of this process may follow meanwhile.
 */
export async function without<T>(mechanisms: readonly Mechanism[], work: () => Promise<T>): Promise<T> {
  const table = protocol as Table
  const whole = { ...table }
  const off = new Set(mechanisms)
  Object.assign(table, {
    attach: (input) => whole.attach(blinded(input, off)),
    ...(off.has('count') ? { audit: () => 'off' } : {}),
    ...(off.has('history') ? { judgeHistory: () => ({ verdict: 'same' }) } : {}),
    ...(off.has('revisions') ? { auditListing: () => 'equal' } : {}),
  } satisfies Partial<Table>)
  try {
    return await work()
  } finally {
    Object.assign(table, whole)
  }
}

const FINDINGS: Readonly<Partial<Record<Mechanism, readonly RebuildReason[]>>> = {
  incarnation: ['bucketRecreated'],
  lastRevision: ['bucketRolledBack'],
}

/** What attach is told, without what these mechanisms add to it. */
function blinded({ finding, ...input }: AttachInput, off: ReadonlySet<Mechanism>): AttachInput {
  const { incarnation, lastRevision, ...source } = input.source
  const ignored = [...off].some((mechanism) => FINDINGS[mechanism]?.some((reason) => reason === finding))
  return {
    ...input,
    source: {
      ...source,
      ...(incarnation === undefined || off.has('incarnation') ? {} : { incarnation }),
      ...(lastRevision === undefined || off.has('lastRevision') ? {} : { lastRevision }),
    },
    ...(finding === undefined || ignored ? {} : { finding }),
  }
}
