import {
  WatchCursor,
  type AttachInput,
  type Binding,
  type FastForwardInput,
  type MayFastForwardInput,
  type Protocol,
} from '@slip/kv-core'
import { BINDING, FOREIGN, SOURCE, UNSTATED } from './attach-cases.ts'
import type { UnitCheck } from './unit-check.ts'

type Fold = Partial<AttachInput['fold']>

const KEPT: Binding = { ...BINDING, whenEvicted: 'keep' }

/** What an artifact has to reach for a fold of two entries at revision 5 of a bucket at 9 that may lack three. */
function least(
  rules: Protocol,
  { fold, ...rest }: Partial<Omit<FastForwardInput, 'fold'>> & { readonly fold?: Fold } = {},
): bigint | undefined {
  return rules.fastForwardTo({
    fold: { binding: BINDING, cursor: WatchCursor.fromRevision(5n), populated: true, stages: true, ...fold },
    source: SOURCE,
    scope: ['a.'],
    whenEvicted: 'drop',
    repair: 'auto',
    restores: true,
    entries: 2,
    behind: 3,
    ...rest,
  })
}

/** Whether an artifact at revision 8 may take the place of a fold where it has to reach 8. */
function may(
  rules: Protocol,
  { fold, ...rest }: Partial<Omit<MayFastForwardInput, 'fold'>> & { readonly fold?: Fold } = {},
): boolean {
  return rules.mayFastForward({
    fold: { binding: BINDING, cursor: WatchCursor.fromRevision(8n), populated: true, settled: true, ...fold },
    source: SOURCE,
    scope: ['a.'],
    whenEvicted: 'drop',
    repair: 'auto',
    history: 'same',
    least: 8n,
    ...rest,
  })
}

/** When an artifact takes the place of a fold that could go on. */
export const FORWARD_CHECKS: readonly UnitCheck[] = [
  {
    of: 'fastForwardTo',
    name: 'one is worth as many revisions as the fold may lack',
    holds: (rules) =>
      least(rules) === 8n &&
      least(rules, { behind: 4 }) === 9n &&
      least(rules, { behind: 5 }) === undefined &&
      least(rules, { behind: false }) === undefined,
  },
  {
    of: 'fastForwardTo',
    name: 'that is the number of its entries unless somebody says another, and 10,000 at least',
    holds: (rules) => {
      const source = { ...SOURCE, lastRevision: 100_000n }
      const of = (entries: number): bigint | undefined => least(rules, { source, entries, behind: undefined })
      return (
        of(2) === 10_005n &&
        of(10_001) === 10_006n &&
        of(99_995) === 100_000n &&
        of(99_996) === undefined &&
        least(rules, { behind: undefined }) === undefined
      )
    },
  },
  {
    of: 'fastForwardTo',
    name: 'where positions can be compared, and there is somewhere to get it from and to put it',
    holds: (rules) => {
      const { lastRevision: _, ...endless } = SOURCE
      return (
        least(rules, { fold: { cursor: FOREIGN } }) === undefined &&
        least(rules, { fold: { cursor: WatchCursor.none } }) === undefined &&
        least(rules, { source: endless }) === undefined &&
        least(rules, { restores: false }) === undefined &&
        least(rules, { restores: undefined }) === undefined &&
        least(rules, { fold: { stages: false } }) === undefined &&
        least(rules, { fold: { stages: undefined } }) === undefined
      )
    },
  },
  {
    of: 'fastForwardTo',
    name: 'where the fold might be built anew from the bucket: never one that may have what was evicted',
    holds: (rules) => {
      const kept = { whenEvicted: 'keep', fold: { binding: KEPT } } as const
      const evicting = { ...SOURCE, evictsCurrentValues: true, evictsOldestFirst: true }
      return (
        least(rules, { repair: 'relist' }) === 8n &&
        least(rules, { repair: 'restore' }) === undefined &&
        least(rules, { repair: 'none' }) === undefined &&
        least(rules, kept) === 8n &&
        least(rules, { ...kept, source: evicting }) === 8n &&
        least(rules, { ...kept, source: { ...evicting, firstRevision: 2n } }) === undefined &&
        least(rules, { ...kept, fold: { binding: { ...KEPT, evictionSeen: true } } }) === undefined &&
        least(rules, { source: { ...evicting, firstRevision: 2n } }) === 8n
      )
    },
  },
  {
    of: 'fastForwardTo',
    name: 'not for a fold of another bucket, or of another history of it',
    holds: (rules) =>
      least(rules, { source: { ...SOURCE, name: 'other' } }) === undefined &&
      least(rules, { source: { ...SOURCE, incarnation: 'two' } }) === undefined &&
      least(rules, { scope: ['b.'] }) === undefined,
  },
  {
    of: 'mayFastForward',
    name: 'an artifact that reaches as far as it has to',
    holds: (rules) =>
      may(rules) &&
      may(rules, { least: 7n }) &&
      !may(rules, { least: 9n }) &&
      !may(rules, { fold: { cursor: FOREIGN } }) &&
      !may(rules, { fold: { cursor: WatchCursor.none } }),
  },
  {
    of: 'mayFastForward',
    name: 'only one that the history of the bucket proves, and that is a state it was in',
    holds: (rules) =>
      !may(rules, { history: 'unknown' }) &&
      !may(rules, { history: undefined }) &&
      !may(rules, { history: 'other' }) &&
      !may(rules, { history: 'differs' }) &&
      !may(rules, { fold: { settled: false } }) &&
      !may(rules, { fold: { settled: undefined } }) &&
      may(rules, { source: UNSTATED }),
  },
  {
    of: 'mayFastForward',
    name: 'only one that a follower made which follows the same in the same way',
    holds: (rules) =>
      !may(rules, { fold: { binding: undefined } }) &&
      !may(rules, { fold: { binding: KEPT } }) &&
      !may(rules, { whenEvicted: 'keep' }) &&
      may(rules, { whenEvicted: 'keep', fold: { binding: KEPT } }) &&
      !may(rules, { whenEvicted: 'keep', fold: { binding: { ...KEPT, evictionSeen: true } } }) &&
      !may(rules, { scope: ['a.', 'b.'] }) &&
      !may(rules, { emptyValues: 'keep' }),
  },
  {
    of: 'mayFastForward',
    name: 'only one that could be gone on from',
    holds: (rules) =>
      !may(rules, { source: { ...SOURCE, lastRevision: 7n } }) &&
      !may(rules, { source: { ...SOURCE, incarnation: 'two' } }) &&
      !may(rules, { source: { ...SOURCE, evictsCurrentValues: true, firstRevision: 10n } }),
  },
]
