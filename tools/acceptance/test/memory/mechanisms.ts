import { protocol, type AttachInput, type Protocol } from '@slip/kv-core'
import type { Moment } from './moments.ts'

/** What a follower notices silent divergences by. */
export type Mechanism = 'count' | 'history' | 'incarnation' | 'lastRevision' | 'listing'

export const MECHANISMS: readonly Mechanism[] = ['count', 'history', 'incarnation', 'lastRevision', 'listing']

const COUNTED = { mechanism: 'count', moment: 'stopped' } as const

/** The one that has to notice each divergence without help, and when that shows. */
export const NOTICED_BY: Readonly<
  Record<string, { readonly mechanism: Mechanism; readonly moment: Moment }>
> = {
  H1: COUNTED,
  H2: COUNTED,
  H3: COUNTED,
  H4: COUNTED,
  H5: COUNTED,
  H6: { mechanism: 'count', moment: 'live' },
  H7: COUNTED,
  H8: COUNTED,
  H9: { mechanism: 'incarnation', moment: 'stopped' },
  H10: { mechanism: 'history', moment: 'stopped' },
  // A follower that comes back is refused by the source itself.
  H11: { mechanism: 'lastRevision', moment: 'live' },
  H12: { mechanism: 'listing', moment: 'stopped' },
}

type Table = { -readonly [K in keyof Protocol]: Protocol[K] }

/** Takes mechanisms out of the one table that all followers of this process decide by, while `work` runs. */
export async function without<R>(off: readonly Mechanism[], work: () => Promise<R>): Promise<R> {
  const table = protocol as Table
  const whole = { ...table }
  table.attach = (input) => whole.attach(blinded(input, off))
  if (off.includes('count')) table.audit = () => 'off'
  if (off.includes('history')) table.judgeHistory = () => ({ verdict: 'same' })
  if (off.includes('listing')) table.auditListing = () => 'equal'
  try {
    return await work()
  } finally {
    Object.assign(table, whole)
  }
}

function blinded(input: AttachInput, off: readonly Mechanism[]): AttachInput {
  const source: Record<string, unknown> = { ...input.source }
  for (const name of ['incarnation', 'lastRevision'] as const) if (off.includes(name)) delete source[name]
  return { ...input, source: source as unknown as AttachInput['source'] }
}
