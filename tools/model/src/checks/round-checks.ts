import {
  VersionToken,
  WatchCursor,
  type ArtifactPosition,
  type Binding,
  type LeaseInput,
  type Protocol,
  type PublishInput,
  type PublishVerdict,
} from '@slip/kv-core'
import { BINDING, FOREIGN } from './attach-cases.ts'
import { EARLIER, LATER } from './histories.ts'
import type { UnitCheck } from './unit-check.ts'

const MOST = 0xffff_ffff_ffff_ffffn
const at = (revision: bigint): WatchCursor => WatchCursor.fromRevision(revision)
const stamp = (hex: string): WatchCursor => WatchCursor.fromToken(VersionToken.fromHex(hex))

const { incarnation: _, ...UNSTATED } = BINDING
const bound = (incarnation: string): Binding => ({ ...BINDING, incarnation })
const position = (cursor: WatchCursor, binding: Binding | undefined = BINDING): ArtifactPosition => ({
  family: 'native',
  cursor,
  binding,
})

const said = (
  rules: Protocol,
  candidate: ArtifactPosition,
  pointer: ArtifactPosition | undefined,
  source?: PublishInput['source'],
): PublishVerdict => rules.publish({ candidate, pointer, source })

const taken = (rules: Protocol, input: LeaseInput): string => {
  const decision = rules.lease(input)
  return decision === 'held'
    ? decision
    : `${decision.write} ${decision.acquiredAtUnix} ${decision.expiresAtUnix}`
}

/** What a fleet that publishes artifacts in rounds decides. */
export const ROUND_CHECKS: readonly UnitCheck[] = [
  {
    of: 'publish',
    name: 'the first artifact is published, and what does not go back; equals replace each other',
    holds: (rules) =>
      said(rules, position(at(5n)), undefined) === 'publish' &&
      [4n, 5n, 6n].every(
        (other) =>
          said(rules, position(at(5n)), position(at(other))) === (other > 5n ? 'superseded' : 'publish'),
      ) &&
      said(rules, position(at(0x100n)), position(at(0xffn))) === 'publish' &&
      said(rules, position(at(0xffn), UNSTATED), position(at(0x100n), UNSTATED)) === 'superseded',
  },
  {
    of: 'publish',
    name: 'a position that is no revision is compared with its like, and below every revision but none',
    holds: (rules) =>
      said(rules, position(WatchCursor.none), position(WatchCursor.none)) === 'publish' &&
      said(rules, position(WatchCursor.none), position(FOREIGN)) === 'superseded' &&
      said(rules, position(WatchCursor.none), position(at(0n))) === 'superseded' &&
      said(rules, position(FOREIGN), position(WatchCursor.none)) === 'publish' &&
      said(rules, position(FOREIGN), position(stamp('00112233445566778898'))) === 'publish' &&
      said(rules, position(FOREIGN), position(FOREIGN)) === 'publish' &&
      said(rules, position(FOREIGN), position(stamp('0011223344556677889a'))) === 'superseded' &&
      said(rules, position(FOREIGN), position(at(1n))) === 'superseded' &&
      said(rules, position(FOREIGN), position(at(0n))) === 'publish' &&
      said(rules, position(at(0n)), position(FOREIGN)) === 'publish',
  },
  {
    of: 'publish',
    name: 'what was seen of eviction does not rank',
    holds: (rules) => {
      const seen = WatchCursor.fromToken(VersionToken.fromRevision(5n), { evictionSeen: true })
      return (
        said(rules, position(seen), position(at(5n))) === 'publish' &&
        said(rules, position(at(5n)), position(seen)) === 'publish'
      )
    },
  },
  {
    of: 'publish',
    name: 'a name keeps its bucket and its family',
    holds: (rules) =>
      said(rules, position(at(9n), { ...BINDING, kind: 'other' }), position(at(1n))) === 'otherBucket' &&
      said(rules, position(at(9n), { ...BINDING, name: 'other' }), position(at(1n))) === 'otherBucket' &&
      said(rules, { ...position(at(9n)), family: 'interchange' }, position(at(1n))) === 'otherFamily' &&
      said(rules, position(at(9n)), { ...position(at(1n)), family: 'interchange' }) === 'otherFamily',
  },
  {
    of: 'publish',
    name: 'of two histories the one that began later, whatever the cursors; what cannot be told is not published',
    holds: (rules) =>
      said(rules, position(at(1n), bound(LATER)), position(at(9n), bound(EARLIER))) === 'publish' &&
      said(rules, position(at(9n), bound(EARLIER)), position(at(1n), bound(LATER))) === 'superseded' &&
      said(rules, position(at(9n), bound('one')), position(at(1n), bound('two'))) === 'unordered' &&
      said(rules, position(at(9n), bound('one')), position(at(1n), bound(LATER))) === 'unordered' &&
      said(rules, position(at(9n), bound(LATER)), position(at(1n), bound('one'))) === 'unordered' &&
      said(rules, position(at(9n), bound(EARLIER)), position(at(1n), bound(`${EARLIER} `))) === 'unordered' &&
      said(rules, position(at(9n), UNSTATED), position(at(1n))) === 'unordered' &&
      said(rules, position(at(9n)), position(at(1n), UNSTATED)) === 'unordered',
  },
  {
    of: 'publish',
    name: 'what the source says of its history replaces a pointer of another, and lets none of another be published',
    holds: (rules) =>
      [bound('two'), bound(LATER)].every((binding) => {
        const source = { incarnation: binding.incarnation! }
        return (
          said(rules, position(at(1n), binding), position(at(9n), bound('one')), source) === 'publish' &&
          said(rules, position(at(9n), bound('one')), position(at(1n), binding), source) === 'pastHistory' &&
          said(rules, position(at(9n), bound('one')), undefined, source) === 'pastHistory' &&
          said(rules, position(at(1n), binding), position(at(2n), binding), source) === 'superseded'
        )
      }) &&
      said(rules, position(at(1n), bound(EARLIER)), position(at(9n), bound(LATER)), {
        incarnation: EARLIER,
      }) === 'publish' &&
      said(rules, position(at(1n)), position(at(9n), bound('two')), {}) === 'unordered' &&
      said(rules, position(at(5n), UNSTATED), position(at(4n), UNSTATED), { incarnation: 'one' }) ===
        'publish',
  },
  {
    of: 'publish',
    name: 'a position the source has not come to is of a history that is over',
    holds: (rules) =>
      said(rules, position(at(4n)), position(at(9n)), { lastRevision: 8n }) === 'publish' &&
      said(rules, position(at(4n)), position(at(9n)), { lastRevision: 9n }) === 'superseded' &&
      said(rules, position(at(9n)), undefined, { lastRevision: 8n }) === 'pastHistory' &&
      said(rules, position(at(9n)), undefined, { lastRevision: 9n }) === 'publish' &&
      said(rules, position(at(9n)), position(at(9n)), { lastRevision: 8n }) === 'pastHistory' &&
      said(rules, position(WatchCursor.none), undefined, { lastRevision: 0n }) === 'publish' &&
      said(rules, position(FOREIGN), undefined, { lastRevision: 0n }) === 'publish' &&
      said(rules, { ...position(at(4n)), family: 'interchange' }, position(at(9n)), { lastRevision: 8n }) ===
        'otherFamily' &&
      said(rules, position(at(4n)), position(at(9n), { ...BINDING, name: 'other' }), { lastRevision: 8n }) ===
        'otherBucket',
  },
  {
    of: 'lease',
    name: 'a lease is live until the second it ends in has begun',
    holds: (rules) =>
      taken(rules, { found: true, expiresAtUnix: 11n, nowMs: 10_999, ttlMs: 5000 }) === 'held' &&
      taken(rules, { found: true, expiresAtUnix: 11n, nowMs: 11_000, ttlMs: 5000 }) === 'swap 11 16' &&
      taken(rules, { found: true, expiresAtUnix: MOST, nowMs: 11_000, ttlMs: 5000 }) === 'held',
  },
  {
    of: 'lease',
    name: 'what was seen of a lease counts for more than clocks: live when it was seen first it is held, and over when all of its time was seen',
    holds: (rules) => {
      const seen = (atLeastMs: number, atMostMs: number, isOver: boolean, lastsMs = 5000): string =>
        taken(rules, {
          found: true,
          expiresAtUnix: isOver ? 11n : MOST,
          nowMs: 11_000,
          ttlMs: 5000,
          sighting: { lastsMs, atLeastMs, atMostMs },
        })
      return (
        seen(0, 4999, true) === 'held' &&
        seen(4999, 9998, true) === 'held' &&
        seen(0, 5000, true) === 'swap 11 16' &&
        seen(0, 5000, false) === 'held' &&
        seen(4999, Infinity, true) === 'swap 11 16' &&
        seen(4999, Infinity, false) === 'held' &&
        seen(5000, 5000, false) === 'swap 11 16' &&
        seen(5000, 9998, false) === 'swap 11 16' &&
        seen(5000, Infinity, false) === 'swap 11 16' &&
        seen(1, 1, false, 1) === 'swap 11 16' &&
        [0, -1].every(
          (lastsMs) =>
            seen(9000, 9000, false, lastsMs) === 'held' && seen(0, 0, true, lastsMs) === 'swap 11 16',
        ) &&
        taken(rules, {
          found: false,
          expiresAtUnix: 0n,
          nowMs: 11_000,
          ttlMs: 5000,
          sighting: { lastsMs: 5000, atLeastMs: 0, atMostMs: 0 },
        }) === 'create 11 16'
      )
    },
  },
  {
    of: 'lease',
    name: 'nothing there is created, everything else swapped',
    holds: (rules) =>
      taken(rules, { found: false, expiresAtUnix: 0n, nowMs: 10_001, ttlMs: 5000 }) === 'create 10 15' &&
      taken(rules, { found: true, expiresAtUnix: 0n, nowMs: 10_001, ttlMs: 5000 }) === 'swap 10 15',
  },
  {
    of: 'lease',
    name: 'whole seconds are added as they are, others last at least as long',
    holds: (rules) =>
      (
        [
          [10_000, 1000, 'create 10 11'],
          [10_900, 1000, 'create 10 11'],
          [10_900, 999, 'create 10 12'],
          [10_900, 500, 'create 10 12'],
          [10_200, 500, 'create 10 11'],
          [10_200, 1500, 'create 10 12'],
          [10_200, 1800, 'create 10 12'],
          [10_200, 1801, 'create 10 13'],
          [10_000, 0, 'create 10 10'],
          [10_000, 1, 'create 10 11'],
        ] as const
      ).every(
        ([nowMs, ttlMs, expected]) =>
          taken(rules, { found: false, expiresAtUnix: 0n, nowMs, ttlMs }) === expected,
      ),
  },
  {
    of: 'lease',
    name: 'a clock before 1970 says 0, and a span without end gives the largest number',
    holds: (rules) =>
      taken(rules, { found: false, expiresAtUnix: 0n, nowMs: -5000, ttlMs: 2000 }) === 'create 0 2' &&
      taken(rules, { found: true, expiresAtUnix: 1n, nowMs: -5000, ttlMs: 2000 }) === 'held' &&
      taken(rules, { found: true, expiresAtUnix: 0n, nowMs: -5000, ttlMs: 2000 }) === 'swap 0 2' &&
      taken(rules, { found: false, expiresAtUnix: 0n, nowMs: -5000, ttlMs: 2500 }) === 'create 0 0' &&
      taken(rules, { found: false, expiresAtUnix: 0n, nowMs: 2 ** 63 * 1000, ttlMs: 0 }) ===
        `create ${2n ** 63n} ${2n ** 63n}` &&
      taken(rules, { found: false, expiresAtUnix: 0n, nowMs: 2 ** 64 * 1000, ttlMs: 0 }) ===
        `create ${2n ** 64n} ${MOST}` &&
      taken(rules, { found: false, expiresAtUnix: 0n, nowMs: 1000, ttlMs: Infinity }) ===
        `create 1 ${MOST}` &&
      taken(rules, { found: false, expiresAtUnix: 0n, nowMs: 1000, ttlMs: 1e300 }) === `create 1 ${MOST}` &&
      taken(rules, { found: false, expiresAtUnix: 0n, nowMs: 1000, ttlMs: Number.NaN }) ===
        `create 1 ${MOST}`,
  },
]
