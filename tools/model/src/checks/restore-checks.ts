import {
  WatchCursor,
  type Binding,
  type HistoryVerdict,
  type MayRestoreInput,
  type Protocol,
  type RestoreRefusal,
} from '@slip/kv-core'
import { BINDING, FOREIGN, SOURCE, told, UNSTATED } from './attach-cases.ts'
import type { UnitCheck } from './unit-check.ts'

const KEPT: Binding = { ...BINDING, whenEvicted: 'keep' }
const EVICTING = { ...SOURCE, evictsCurrentValues: true, firstRevision: 6n }

/** SHA-256 of `a.` and a zero byte. */
const DIGEST = '564ddd8dd0ab3d49638b992e91616dd978a3254ea42e9221305afb81619ef7aa'

type Change = Partial<Omit<MayRestoreInput, 'artifact'>> & {
  readonly artifact?: Partial<MayRestoreInput['artifact']>
}

/** Of an artifact at revision 7, for a fold at 5 of a bucket that begins at 6 and ends at 9. */
function refusal(rules: Protocol, { artifact, ...rest }: Change = {}): RestoreRefusal | undefined {
  return rules.mayRestore({
    artifact: { binding: KEPT, cursor: WatchCursor.fromRevision(7n), appliedAtMs: undefined, ...artifact },
    cursor: WatchCursor.fromRevision(5n),
    source: EVICTING,
    scope: ['a.'],
    emptyValues: 'tombstone',
    history: 'same',
    ...rest,
  })
}

const bound = (rules: Protocol, change: Partial<Binding>): RestoreRefusal | undefined =>
  refusal(rules, { artifact: { binding: { ...KEPT, ...change } } })

/** What may be taken from another node's copy. */
export const RESTORE_CHECKS: readonly UnitCheck[] = [
  {
    of: 'attach',
    name: 'an artifact repairs a replica of record where a listing may not, and where the policy says so',
    holds: (rules) => {
      const repaired = (change: Parameters<typeof told>[1]): string =>
        told(rules, {
          source: EVICTING,
          finding: 'countMismatch',
          whenEvicted: 'keep',
          restores: true,
          ...change,
        })
      return (
        repaired({}) === 'restore countMismatch' &&
        repaired({ repair: 'restore' }) === 'restore countMismatch' &&
        repaired({ repair: 'restore', source: SOURCE }) === 'restore countMismatch' &&
        repaired({ source: SOURCE }) === 'rebuild countMismatch' &&
        repaired({ repair: 'relist' }) === 'refuse countMismatch' &&
        repaired({ repair: 'none' }) === 'refuse countMismatch' &&
        repaired({ restores: false }) === 'refuse countMismatch' &&
        repaired({ restores: undefined }) === 'refuse countMismatch' &&
        repaired({ whenEvicted: 'drop', repair: 'restore' }) === 'refuse countMismatch' &&
        repaired({ finding: 'bucketRolledBack' }) === 'rebuild bucketRolledBack'
      )
    },
  },
  {
    of: 'mayRestore',
    name: 'only an artifact of this bucket and history, that has all that is followed, as it is followed',
    holds: (rules) => {
      const { incarnation: _incarnation, ...unstated } = KEPT
      return (
        refusal(rules) === undefined &&
        bound(rules, { kind: 'other' }) === 'otherBucket' &&
        bound(rules, { name: 'other' }) === 'otherBucket' &&
        bound(rules, { incarnation: 'two' }) === 'otherLineage' &&
        refusal(rules, { artifact: { binding: unstated } }) === undefined &&
        refusal(rules, { source: { ...UNSTATED, firstRevision: 6n } }) === undefined &&
        bound(rules, { whenEvicted: 'drop' }) === 'otherEviction' &&
        bound(rules, { emptyValues: 'keep' }) === 'otherEmptyValues' &&
        refusal(rules, { emptyValues: 'keep' }) === 'otherEmptyValues' &&
        refusal(rules, {
          emptyValues: 'keep',
          artifact: { binding: { ...KEPT, emptyValues: 'keep' } },
        }) === undefined &&
        refusal(rules, { artifact: { binding: undefined } }) === undefined
      )
    },
  },
  {
    of: 'mayRestore',
    name: 'its prefixes may cover together, and a digest of them says whether they are the same',
    holds: (rules) =>
      bound(rules, { scope: [''] }) === undefined &&
      bound(rules, { scope: ['a.', 'b.'] }) === undefined &&
      refusal(rules, { scope: ['a.', 'b.'], artifact: { binding: { ...KEPT, scope: ['a.', 'b.'] } } }) ===
        undefined &&
      refusal(rules, { scope: ['a.', 'c.'] }) === 'otherScope' &&
      bound(rules, { scope: ['a.b.'] }) === 'otherScope' &&
      bound(rules, { scope: { sha256: '00' } }) === 'otherScope' &&
      bound(rules, { scope: { sha256: DIGEST } }) === undefined,
  },
  {
    of: 'mayRestore',
    name: 'only one that is ahead of the fold and not of the bucket',
    holds: (rules) =>
      refusal(rules, { cursor: WatchCursor.fromRevision(6n) }) === undefined &&
      refusal(rules, { cursor: WatchCursor.fromRevision(7n) }) === 'notAhead' &&
      refusal(rules, { cursor: WatchCursor.fromRevision(8n) }) === 'notAhead' &&
      refusal(rules, { cursor: WatchCursor.none }) === undefined &&
      refusal(rules, { cursor: FOREIGN }) === 'notAhead' &&
      refusal(rules, { artifact: { cursor: FOREIGN } }) === 'noRevision' &&
      refusal(rules, { artifact: { cursor: WatchCursor.none } }) === 'noRevision' &&
      refusal(rules, { source: { ...EVICTING, lastRevision: 7n } }) === undefined &&
      refusal(rules, { source: { ...EVICTING, lastRevision: 6n } }) === 'aheadOfBucket',
  },
  {
    of: 'mayRestore',
    name: 'none that the messages of the bucket contradict',
    holds: (rules) => {
      const told = (history: HistoryVerdict | undefined): RestoreRefusal | undefined =>
        refusal(rules, { history })
      return (
        told('same') === undefined &&
        told('unknown') === undefined &&
        told(undefined) === undefined &&
        told('other') === 'otherLineage' &&
        told('differs') === 'otherLineage'
      )
    },
  },
  {
    of: 'mayRestore',
    name: 'none that has expired itself, also where the bucket does not evict any more',
    holds: (rules) => {
      const begins = (firstRevision: bigint, evictsCurrentValues = true): RestoreRefusal | undefined =>
        refusal(rules, { source: { ...EVICTING, firstRevision, evictsCurrentValues } })
      const aged = { ...EVICTING, firstRevision: 9n, evictsAfterMs: 100, serverTimeMs: 1_000 }
      const of = (appliedAtMs: bigint): RestoreRefusal | undefined =>
        refusal(rules, { source: aged, artifact: { appliedAtMs } })
      return (
        begins(8n) === undefined &&
        begins(9n) === 'expired' &&
        begins(9n, false) === 'expired' &&
        of(950n) === undefined &&
        of(949n) === 'expired'
      )
    },
  },
  {
    of: 'restoreKey',
    name: 'the newer of two values counts',
    holds: (rules) =>
      rules.restoreKey({ artifact: 7n, local: undefined }) === 'take' &&
      rules.restoreKey({ artifact: 7n, local: 6n }) === 'take' &&
      rules.restoreKey({ artifact: 7n, local: 7n }) === 'leave' &&
      rules.restoreKey({ artifact: 7n, local: 8n }) === 'leave' &&
      rules.restoreKey({ artifact: 0n, local: undefined }) === 'take',
  },
  {
    of: 'restoreKey',
    name: 'a key that only the fold has goes unless the bucket lists it',
    holds: (rules) =>
      rules.restoreKey({ artifact: undefined, local: 5n, listed: false }) === 'remove' &&
      rules.restoreKey({ artifact: undefined, local: 5n, listed: true }) === 'leave' &&
      rules.restoreKey({ artifact: undefined, local: 0n, listed: false }) === 'remove' &&
      rules.restoreKey({ artifact: undefined, local: undefined, listed: false }) === 'leave',
  },
]
