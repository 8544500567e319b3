import { VersionToken, WatchCursor, type AuditInput, type Protocol } from '@slip/kv-core'
import type { UnitCheck } from './unit-check.ts'

const MAX = 2n ** 64n - 1n
const FOREIGN = WatchCursor.fromToken(VersionToken.fromHex('00112233445566778899'))

const counted = (rules: Protocol, change: Partial<AuditInput> = {}): string =>
  rules.audit({
    appliedRevision: 5n,
    lastRevision: 5n,
    keyCount: 2n,
    foldCount: 2n,
    whenEvicted: 'drop',
    evictsCurrentValues: false,
    evictionSeen: false,
    ...change,
  })

/** Where a watch starts, what moves its position, and whether counts agree. */
export const POSITION_CHECKS: readonly UnitCheck[] = [
  {
    of: 'resumeStart',
    name: 'starts one after the cursor, up to the last revision there can be',
    holds: (rules) =>
      [0n, 1n, MAX - 1n].every((revision) => {
        const start = rules.resumeStart(WatchCursor.fromRevision(revision))
        return start.action === 'start' && start.fromRevision === revision + 1n
      }),
  },
  {
    of: 'resumeStart',
    name: 'refuses a revision without a successor, and a cursor that is none',
    holds: (rules) => {
      const last = rules.resumeStart(WatchCursor.fromRevision(MAX))
      const other = rules.resumeStart(FOREIGN)
      return (
        last.action === 'refuse' &&
        last.reason === 'lastRevision' &&
        other.action === 'refuse' &&
        other.reason === 'notARevision'
      )
    },
  },
  {
    of: 'resumeStart',
    name: 'no position is the beginning',
    holds: (rules) => rules.resumeStart(WatchCursor.none).action === 'fromBeginning',
  },
  {
    of: 'onDelivery',
    name: 'what cannot be compared is applied',
    holds: (rules) =>
      [
        { frontier: undefined, revision: undefined },
        { frontier: 3n, revision: undefined },
        { frontier: undefined, revision: 3n },
      ].every((input) => rules.onDelivery({ ...input, suspect: true }) === 'apply'),
  },
  {
    of: 'onDelivery',
    name: 'a revision at the frontier comes a second time; twice in a row it is another history',
    holds: (rules) =>
      [1n, 3n].every(
        (revision) =>
          rules.onDelivery({ frontier: 3n, revision, suspect: false }) === 'reattach' &&
          rules.onDelivery({ frontier: 3n, revision, suspect: true }) === 'rebuild',
      ) && rules.onDelivery({ frontier: 3n, revision: 4n, suspect: true }) === 'apply',
  },
  {
    of: 'onBookmark',
    name: 'what cannot be compared is the word of its source, unless it says nothing new',
    holds: (rules) =>
      rules.onBookmark({ frontier: undefined, revision: 3n, same: false }) === 'advance' &&
      rules.onBookmark({ frontier: 3n, revision: undefined, same: false }) === 'advance' &&
      rules.onBookmark({ frontier: 3n, revision: undefined, same: true }) === 'ignore' &&
      rules.onBookmark({ frontier: undefined, revision: undefined, same: true }) === 'ignore',
  },
  {
    of: 'onBookmark',
    name: 'a bookmark where the watch stands moves nothing',
    holds: (rules) => rules.onBookmark({ frontier: 3n, revision: 3n, same: false }) === 'ignore',
  },
  {
    of: 'settles',
    name: 'where nothing is left to be sent, and as long as no revision is missing from there on',
    holds: (rules) =>
      [true, false].every((settled) =>
        rules.settles({ settled, frontier: 3n, delivered: 9n, atEnd: true }),
      ) &&
      rules.settles({ settled: false, frontier: 3n, delivered: undefined, atEnd: true }) &&
      rules.settles({ settled: true, frontier: 3n, delivered: 4n, atEnd: false }) &&
      rules.settles({ settled: true, frontier: undefined, delivered: 1n, atEnd: false }) &&
      !rules.settles({ settled: true, frontier: 3n, delivered: 5n, atEnd: false }) &&
      !rules.settles({ settled: true, frontier: 3n, delivered: 3n, atEnd: false }) &&
      !rules.settles({ settled: true, frontier: undefined, delivered: 2n, atEnd: false }) &&
      !rules.settles({ settled: true, frontier: 3n, delivered: undefined, atEnd: false }) &&
      !rules.settles({ settled: false, frontier: 3n, delivered: 4n, atEnd: false }),
  },
  {
    of: 'handOver',
    name: 'what cannot be compared is handed over',
    holds: (rules) =>
      rules.handOver({ handedThrough: undefined, revision: 3n }) === 'hand' &&
      rules.handOver({ handedThrough: 3n, revision: undefined }) === 'hand',
  },
  {
    of: 'audit',
    name: 'is off when any of the numbers is missing',
    holds: (rules) =>
      (['appliedRevision', 'lastRevision', 'keyCount', 'foldCount'] as const).every(
        (name) => counted(rules, { [name]: undefined }) === 'off',
      ),
  },
  {
    of: 'audit',
    name: 'is off where the fold keeps what the bucket evicts, may evict, or has evicted',
    holds: (rules) =>
      counted(rules, { whenEvicted: 'keep', evictsCurrentValues: true }) === 'off' &&
      counted(rules, { whenEvicted: 'keep', evictsCurrentValues: undefined }) === 'off' &&
      counted(rules, { whenEvicted: 'keep', evictionSeen: true }) === 'off' &&
      counted(rules, { whenEvicted: 'keep' }) === 'equal' &&
      counted(rules, { evictsCurrentValues: true, evictionSeen: true }) === 'equal',
  },
  {
    of: 'audit',
    name: 'waits for the last revision, ahead or behind',
    holds: (rules) =>
      counted(rules, { appliedRevision: 4n }) === 'wait' &&
      counted(rules, { appliedRevision: 6n }) === 'wait' &&
      counted(rules, { foldCount: 3n }) === 'rebuild',
  },
  {
    of: 'audit',
    name: 'where everything was delivered any difference counts; else what the bucket lacks, and more than is missing',
    holds: (rules) =>
      counted(rules, { foldCount: 1n }) === 'rebuild' &&
      counted(rules, { foldCount: 3n }) === 'rebuild' &&
      counted(rules, { undelivered: 0n }) === 'equal' &&
      counted(rules, { undelivered: 1n }) === 'wait' &&
      counted(rules, { undelivered: 1n, foldCount: 3n }) === 'rebuild' &&
      counted(rules, { undelivered: 1n, foldCount: 1n }) === 'wait' &&
      counted(rules, { undelivered: 1n, foldCount: 0n }) === 'rebuild',
  },
  {
    of: 'audit',
    name: 'equal counts are proof when nothing came until the bucket was counted again',
    holds: (rules) => {
      const again = (foldCount: bigint, keyCount: bigint): string =>
        counted(rules, { undelivered: 1n, later: { foldCount, keyCount } })
      return (
        again(2n, 2n) === 'equal' &&
        again(3n, 3n) === 'wait' &&
        again(1n, 2n) === 'wait' &&
        again(2n, 3n) === 'wait' &&
        again(2n, 1n) === 'rebuild' &&
        again(3n, 2n) === 'rebuild' &&
        counted(rules, { undelivered: 1n, foldCount: 1n, later: { foldCount: 2n, keyCount: 2n } }) ===
          'wait' &&
        counted(rules, { undelivered: 1n, foldCount: 1n, later: { foldCount: 1n, keyCount: 2n } }) === 'wait'
      )
    },
  },
  {
    of: 'proofOfLife',
    name: 'when it came, where that is told; never later than now, and never back',
    holds: (rules) => {
      const at = (lastProofMs: number, receivedAtMs: number | undefined): number =>
        rules.proofOfLife({ nowMs: 100, lastProofMs, receivedAtMs })
      return at(50, undefined) === 100 && at(50, 70) === 70 && at(50, 30) === 50 && at(50, 200) === 100
    },
  },
  {
    of: 'watchdog',
    name: 'stale from `staleAfterMs` on, and not before',
    holds: (rules) =>
      rules.watchdog({ nowMs: 109, lastProofMs: 100, staleAfterMs: 10 }) === 'live' &&
      rules.watchdog({ nowMs: 110, lastProofMs: 100, staleAfterMs: 10 }) === 'stale' &&
      rules.watchdog({ nowMs: 500, lastProofMs: 100, staleAfterMs: 10 }) === 'stale',
  },
]
