import {
  VersionToken,
  WatchCursor,
  type AttachDecision,
  type AttachInput,
  type Binding,
  type Protocol,
  type RebuildReason,
  type SourceDescription,
} from '@slip/kv-core'
import type { UnitCheck } from './unit-check.ts'

const BINDING: Binding = {
  kind: 'model',
  name: 'bucket',
  incarnation: 'one',
  scope: ['a.'],
  whenEvicted: 'drop',
  evictionSeen: false,
}
const SOURCE: SourceDescription = {
  kind: 'model',
  name: 'bucket',
  incarnation: 'one',
  firstRevision: 1n,
  lastRevision: 9n,
  evictsCurrentValues: false,
}
const FOREIGN = WatchCursor.fromToken(VersionToken.fromHex('00112233445566778899'))
const { incarnation: _, ...UNSTATED } = SOURCE

interface Change extends Partial<Omit<AttachInput, 'fold' | 'source'>> {
  readonly fold?: Partial<AttachInput['fold']>
  readonly source?: SourceDescription
}

function decided(rules: Protocol, { fold, source = SOURCE, ...rest }: Change): AttachDecision {
  return rules.attach({
    fold: { binding: BINDING, cursor: WatchCursor.fromRevision(5n), populated: true, ...fold },
    source,
    scope: ['a.'],
    whenEvicted: 'drop',
    repair: 'auto',
    ...rest,
  })
}

/** The action, or the reason where there is one. */
function told(rules: Protocol, change: Change): string {
  const decision = decided(rules, change)
  return 'reason' in decision ? `${decision.action} ${decision.reason}` : decision.action
}

const REASONS: readonly RebuildReason[] = [
  'bucketRecreated',
  'bucketRolledBack',
  'cursorExpired',
  'cursorMissing',
  'brokenLineage',
  'countMismatch',
]
const OTHER_HISTORY: readonly RebuildReason[] = ['bucketRecreated', 'bucketRolledBack', 'brokenLineage']

/** Whether a fold may go on from its cursor. */
export const ATTACH_CHECKS: readonly UnitCheck[] = [
  {
    of: 'attach',
    name: 'the fold of another kind, name or scope is foreign, before anything else is said',
    holds: (rules) =>
      (
        [
          ['kind', { binding: { ...BINDING, kind: 'other' } }],
          ['name', { binding: { ...BINDING, name: 'other' } }],
          ['scope', { binding: { ...BINDING, scope: ['b.'] } }],
          ['scope', { binding: { ...BINDING, scope: [] }, cursor: WatchCursor.none, populated: false }],
        ] as const
      ).every(([differs, fold]) => {
        const decision = decided(rules, { fold, finding: 'bucketRecreated' })
        return decision.action === 'foreign' && decision.differs === differs
      }),
  },
  {
    of: 'attach',
    name: 'without a binding, or with an incarnation nobody states, nothing contradicts',
    holds: (rules) =>
      told(rules, { fold: { binding: undefined } }) === 'resume' &&
      told(rules, { source: UNSTATED }) === 'resume' &&
      told(rules, { fold: { binding: { ...BINDING, incarnation: undefined as never } } }) === 'resume',
  },
  {
    of: 'attach',
    name: 'a fold that is no state of its bucket is listed although its history is the same',
    holds: (rules) =>
      told(rules, { fold: { settled: false }, history: 'same' }) === 'reconcile' &&
      told(rules, { fold: { settled: true }, history: 'same' }) === 'resume' &&
      told(rules, { history: 'same' }) === 'resume' &&
      told(rules, { fold: { settled: true }, history: 'unknown' }) === 'reconcile' &&
      told(rules, { fold: { settled: false } }) === 'resume',
  },
  {
    of: 'attach',
    name: 'another incarnation is another history, whatever else agrees',
    holds: (rules) =>
      told(rules, { source: { ...SOURCE, incarnation: 'two' } }) === 'rebuild bucketRecreated',
  },
  {
    of: 'attach',
    name: 'entries without a position are made anew, and no entries are a fresh fold',
    holds: (rules) =>
      told(rules, { fold: { cursor: WatchCursor.none } }) === 'rebuild cursorMissing' &&
      told(rules, { fold: { cursor: WatchCursor.none, populated: false } }) === 'fresh' &&
      told(rules, { fold: { populated: false } }) === 'resume',
  },
  {
    of: 'attach',
    name: 'a cursor that is no revision is resumed only where nothing is numbered',
    holds: (rules) => {
      const { firstRevision: _first, lastRevision: _last, ...unnumbered } = SOURCE
      return (
        told(rules, { fold: { cursor: FOREIGN } }) === 'rebuild cursorExpired' &&
        told(rules, { fold: { cursor: FOREIGN }, source: unnumbered }) === 'resume'
      )
    },
  },
  {
    of: 'attach',
    name: 'first, last and cursor: rolled back above the last, expired below the first where values are evicted',
    holds: (rules) => {
      for (const evicts of [false, true, undefined])
        for (let first = 1n; first <= 4n; first++)
          for (let last = first - 1n; last <= 4n; last++)
            for (let at = 1n; at <= 4n; at++) {
              const { evictsCurrentValues: _evicts, ...rest } = SOURCE
              const source = {
                ...rest,
                firstRevision: first,
                lastRevision: last,
                ...(evicts === undefined ? {} : { evictsCurrentValues: evicts }),
              }
              const expected =
                at > last
                  ? 'rebuild bucketRolledBack'
                  : first > at + 1n && evicts !== false
                    ? 'rebuild cursorExpired'
                    : 'resume'
              if (told(rules, { fold: { cursor: WatchCursor.fromRevision(at) }, source }) !== expected)
                return false
            }
      return true
    },
  },
  {
    of: 'attach',
    name: 'ends that a source does not state contradict nothing',
    holds: (rules) => {
      const { firstRevision: _first, ...noFirst } = SOURCE
      const { lastRevision: _last, ...noLast } = SOURCE
      return (
        told(rules, { source: { ...noFirst, evictsCurrentValues: true } }) === 'resume' &&
        told(rules, { source: { ...noLast, evictsCurrentValues: true } }) === 'resume'
      )
    },
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
