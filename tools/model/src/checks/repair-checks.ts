import {
  VersionToken,
  WatchCursor,
  type AttachInput,
  type Binding,
  type KeyCounts,
  type Protocol,
  type SourceDescription,
} from '@slip/kv-core'
import { BINDING, SOURCE, decided, told, REASONS, OTHER_HISTORY, type Change } from './attach-cases.ts'
import type { UnitCheck } from './unit-check.ts'

/** What is made of a fold that may not go on. */
export const REPAIR_CHECKS: readonly UnitCheck[] = [
  {
    of: 'takesBack',
    name: 'what the fold in use is not known to hold is taken back, where all is listed again',
    holds: (rules) =>
      rules.takesBack({ held: false, relists: true }) &&
      rules.takesBack({ held: undefined, relists: true }) &&
      !rules.takesBack({ held: true, relists: true }),
  },
  {
    of: 'takesBack',
    name: 'nothing is taken back that no listing would give again',
    holds: (rules) => [true, false, undefined].every((held) => !rules.takesBack({ held, relists: false })),
  },
  {
    of: 'listAgain',
    name: 'a bucket whose count still differs is listed once more, and a third time where something changed',
    holds: (rules) =>
      listsAgain(rules, 1, [3n, 4n]) &&
      listsAgain(rules, 2, [3n, 4n], [4n, 5n]) &&
      listsAgain(rules, 2, [3n, 4n], [3n, 5n]) &&
      listsAgain(rules, 2, [3n, 4n], [2n, 4n]),
  },
  {
    of: 'listAgain',
    name: 'counts that a listing does not change, or a third listing in a row, are no reason to list on',
    holds: (rules) =>
      !listsAgain(rules, 2, [3n, 4n], [3n, 4n]) &&
      !listsAgain(rules, 1, [4n, 3n], [4n, 3n]) &&
      !listsAgain(rules, 3, [3n, 4n], [4n, 5n]) &&
      !listsAgain(rules, 4, [3n, 4n]),
  },
  {
    of: 'attach',
    name: 'another history is made anew under every policy, and nothing of it was evicted',
    holds: (rules) =>
      OTHER_HISTORY.every((finding) =>
        (['drop', 'keep'] as const).every((whenEvicted) =>
          (['auto', 'relist', 'restore', 'none'] as const).every((repair) => {
            const seen = { binding: { ...BINDING, evictionSeen: true } }
            const decision = decided(rules, { fold: seen, finding, whenEvicted, repair })
            return (
              decision.action === 'rebuild' &&
              decision.reason === finding &&
              decision.history === 'other' &&
              !decision.evictionSeen
            )
          }),
        ),
      ),
  },
  {
    of: 'attach',
    name: 'within one history a listing repairs only where the policy of repair allows it',
    holds: (rules) =>
      REASONS.filter((reason) => !OTHER_HISTORY.includes(reason)).every((finding) =>
        (['drop', 'keep'] as const).every((whenEvicted) =>
          (['auto', 'relist', 'restore', 'none'] as const).every((repair) => {
            const relists = repair === 'auto' || repair === 'relist'
            const decision = decided(rules, { finding, whenEvicted, repair })
            return relists
              ? decision.action === 'rebuild' && decision.history === 'same' && decision.reason === finding
              : decision.action === 'refuse' && decision.reason === finding
          }),
        ),
      ),
  },
  {
    of: 'attach',
    name: 'a replica of record is repaired from a listing only where nothing can have been evicted',
    holds: (rules) => {
      const evicting = { ...SOURCE, evictsCurrentValues: true }
      const repaired = (source: SourceDescription, fold: Change['fold'] = {}): string =>
        told(rules, { source, fold, finding: 'countMismatch', whenEvicted: 'keep' })
      const memo = WatchCursor.fromToken(VersionToken.fromRevision(5n), { evictionSeen: true })
      const { evictsCurrentValues: _evicts, ...unsaid } = SOURCE
      const { firstRevision: _first, ...noFirst } = evicting
      const refuses = (source: SourceDescription, fold: Change['fold'] = {}): boolean =>
        repaired(source, fold) === 'refuse countMismatch'
      return (
        repaired(SOURCE) === 'rebuild countMismatch' &&
        repaired({ ...SOURCE, firstRevision: 4n }) === 'rebuild countMismatch' &&
        repaired({ ...evicting, evictsOldestFirst: true }) === 'rebuild countMismatch' &&
        refuses({ ...evicting, evictsOldestFirst: true, firstRevision: 2n }) &&
        refuses({ ...evicting, evictsOldestFirst: false }) &&
        refuses({ ...noFirst, evictsOldestFirst: true }) &&
        refuses(evicting) &&
        refuses(unsaid) &&
        refuses(SOURCE, { binding: { ...BINDING, evictionSeen: true } }) &&
        refuses(SOURCE, { cursor: memo })
      )
    },
  },
  {
    of: 'attach',
    name: 'a replica of record is not emptied first where its bucket may evict meanwhile',
    holds: (rules) => {
      const inPlace = (change: Change): string =>
        told(rules, { finding: 'countMismatch', whenEvicted: 'keep', fold: { stages: false }, ...change })
      const source = { ...SOURCE, evictsCurrentValues: true, evictsOldestFirst: true }
      return (
        inPlace({ source }) === 'refuse countMismatch' &&
        inPlace({ source, fold: { stages: true } }) === 'rebuild countMismatch' &&
        inPlace({}) === 'rebuild countMismatch' &&
        inPlace({ source, whenEvicted: 'drop' }) === 'rebuild countMismatch'
      )
    },
  },
  {
    of: 'attach',
    name: 'a bucket that does not evict any more may have evicted what a replica of record never got',
    holds: (rules) => {
      const source = { ...SOURCE, firstRevision: 7n }
      const memo = WatchCursor.fromToken(VersionToken.fromRevision(5n), { evictionSeen: true })
      const binding = { ...BINDING, evictionSeen: true }
      const keep = (fold: Change['fold'] = {}): string => told(rules, { source, fold, whenEvicted: 'keep' })
      return (
        keep() === 'resume' &&
        keep({ binding }) === 'refuse cursorExpired' &&
        keep({ cursor: memo }) === 'refuse cursorExpired' &&
        told(rules, { source, fold: { binding } }) === 'resume' &&
        told(rules, { source, fold: { cursor: memo } }) === 'resume'
      )
    },
  },
  {
    of: 'attach',
    name: 'a young cursor is resumed where nothing but age evicts',
    holds: (rules) => {
      const source = {
        ...SOURCE,
        firstRevision: 8n,
        evictsCurrentValues: true,
        evictsAfterMs: 100,
        serverTimeMs: 1_000,
      }
      const at = (appliedAtMs: bigint | undefined): string => told(rules, { source, fold: { appliedAtMs } })
      return (
        at(950n) === 'resume' &&
        at(949n) === 'rebuild cursorExpired' &&
        at(undefined) === 'rebuild cursorExpired'
      )
    },
  },
  {
    of: 'attach',
    name: 'a fold that was made with empty values as something else is made anew',
    holds: (rules) => {
      const made = (before: Binding['emptyValues'], emptyValues: AttachInput['emptyValues']): string => {
        const binding = before === undefined ? BINDING : { ...BINDING, emptyValues: before }
        return told(rules, { fold: { binding }, emptyValues })
      }
      return (
        made(undefined, 'keep') === 'rebuild emptyValuesChanged' &&
        made('keep', 'tombstone') === 'rebuild emptyValuesChanged' &&
        made(undefined, 'tombstone') === 'resume' &&
        made('keep', 'keep') === 'resume' &&
        made('keep', undefined) === 'resume' &&
        told(rules, { fold: { binding: undefined }, emptyValues: 'keep' }) === 'resume'
      )
    },
  },
  {
    of: 'attach',
    name: 'eviction is seen with the first expired cursor of a bucket that evicts, and never forgotten',
    holds: (rules) => {
      const seen = (change: Change): boolean => {
        const decision = decided(rules, change)
        return 'evictionSeen' in decision && decision.evictionSeen
      }
      const expired = { ...SOURCE, firstRevision: 8n, evictsCurrentValues: true }
      const { evictsCurrentValues: _evicts, ...unsaid } = expired
      const memo = WatchCursor.fromToken(VersionToken.fromRevision(5n), { evictionSeen: true })
      return (
        seen({ source: expired }) &&
        !seen({ source: unsaid }) &&
        seen({
          source: { ...SOURCE, firstRevision: 3n, evictsCurrentValues: true },
          finding: 'countMismatch',
          whenEvicted: 'keep',
        }) &&
        !seen({ finding: 'countMismatch', source: { ...SOURCE, evictsCurrentValues: true } }) &&
        !seen({ finding: 'countMismatch' }) &&
        seen({ finding: 'countMismatch', fold: { binding: { ...BINDING, evictionSeen: true } } }) &&
        seen({ finding: 'countMismatch', fold: { cursor: memo } })
      )
    },
  },
]

type Counts = readonly [keyCount: bigint, foldCount: bigint]

function listsAgain(rules: Protocol, listings: number, counts: Counts, before?: Counts): boolean {
  const named = ([keyCount, foldCount]: Counts): KeyCounts => ({ keyCount, foldCount })
  return rules.listAgain({ listings, counts: named(counts), before: before && named(before) })
}
