import { VersionToken, WatchCursor, type AdmitInput, type Protocol, type WantedFold } from '@slip/kv-core'
import { BINDING, FOREIGN } from './attach-cases.ts'
import type { UnitCheck } from './unit-check.ts'

const NOW = 1_000_000_000
const at = (revision: bigint): WatchCursor => WatchCursor.fromRevision(revision)

const ADMITTED: AdmitInput = {
  cursor: at(5n),
  binding: BINDING,
  prefixes: ['a.', 'b.'],
  createdAtUnix: NOW / 1000,
  signature: 'absent',
  requireSignature: false,
  maxAgeMs: Infinity,
  nowMs: NOW,
  wanted: {},
}

const said = (rules: Protocol, change: Partial<AdmitInput>): string =>
  rules.admitArtifact({ ...ADMITTED, ...change }) ?? 'admitted'
const wants = (rules: Protocol, wanted: WantedFold, change: Partial<AdmitInput> = {}): string =>
  said(rules, { ...change, wanted })

const { incarnation: _, ...UNSTATED } = BINDING

/** Whether an artifact may become a fold. */
export const ARTIFACT_CHECKS: readonly UnitCheck[] = [
  {
    of: 'admitArtifact',
    name: 'what states nothing that is wanted otherwise is admitted',
    holds: (rules) =>
      said(rules, {}) === 'admitted' &&
      said(rules, { binding: undefined, prefixes: undefined }) === 'admitted' &&
      wants(
        rules,
        { kind: 'other', name: 'other', incarnation: 'two', whenEvicted: 'keep', prefixes: ['c.'] },
        { binding: undefined, prefixes: undefined },
      ) === 'admitted',
  },
  {
    of: 'admitArtifact',
    name: 'a signature that does not fit is refused by everybody, one that is missing or of somebody else where one is required',
    holds: (rules) =>
      ([false, true] as const).every((requireSignature) =>
        (
          [
            ['invalid', 'badSignature', 'badSignature'],
            ['absent', 'admitted', 'unsigned'],
            ['untrusted', 'admitted', 'untrustedSignature'],
            ['trusted', 'admitted', 'admitted'],
          ] as const
        ).every(
          ([signature, free, required]) =>
            said(rules, { signature, requireSignature }) === (requireSignature ? required : free),
        ),
      ),
  },
  {
    of: 'admitArtifact',
    name: 'the age is a distance in either direction, and reaches up to its limit',
    holds: (rules) =>
      [-3, -2, -1, 0, 1, 2, 3].every(
        (seconds) =>
          said(rules, { createdAtUnix: NOW / 1000 + seconds, maxAgeMs: 2000 }) ===
          (Math.abs(seconds) > 2 ? 'tooOld' : 'admitted'),
      ) && said(rules, { createdAtUnix: 0 }) === 'admitted',
  },
  {
    of: 'admitArtifact',
    name: 'another source, bucket, history or policy is refused where it is stated',
    holds: (rules) =>
      wants(rules, { kind: 'other', name: 'other' }) === 'otherSource' &&
      wants(rules, { kind: 'model', name: 'other' }) === 'otherBucket' &&
      wants(rules, { incarnation: 'two' }) === 'otherLineage' &&
      wants(rules, { incarnation: 'two' }, { binding: UNSTATED }) === 'admitted' &&
      wants(rules, { whenEvicted: 'keep' }) === 'otherEviction' &&
      wants(rules, { kind: 'model', name: 'bucket', incarnation: 'one', whenEvicted: 'drop' }) === 'admitted',
  },
  {
    of: 'admitArtifact',
    name: 'a scope is the same, or covers what is wanted, also with several prefixes together',
    holds: (rules) =>
      wants(rules, { prefixes: ['a.', 'b.'] }) === 'admitted' &&
      wants(rules, { prefixes: ['a.'] }) === 'otherScope' &&
      wants(rules, { prefixes: ['a.'], scope: 'same' }) === 'otherScope' &&
      wants(rules, { prefixes: ['a.'], scope: 'covers' }) === 'admitted' &&
      wants(rules, { prefixes: ['a.x', 'b.x'], scope: 'covers' }) === 'admitted' &&
      wants(rules, { prefixes: ['a.', 'b.', 'c.'] }) === 'otherScope' &&
      wants(rules, { prefixes: ['a.', 'c.'], scope: 'covers' }) === 'otherScope' &&
      wants(rules, { prefixes: ['a.'], scope: 'covers' }, { prefixes: undefined }) === 'otherScope' &&
      wants(rules, { prefixes: ['a.'] }, { prefixes: undefined }) === 'admitted' &&
      wants(rules, { prefixes: [''], scope: 'covers' }) === 'otherScope' &&
      wants(rules, { prefixes: ['a.'], scope: 'covers' }, { prefixes: [''] }) === 'admitted' &&
      wants(rules, { prefixes: ['a.'] }, { prefixes: undefined }) === 'admitted',
  },
  {
    of: 'admitArtifact',
    name: 'nothing behind the own fold, nor what cannot be compared with it',
    holds: (rules) =>
      ([4n, 5n, 6n] as const).every(
        (own) => wants(rules, { notBehind: at(own) }) === (own > 5n ? 'behindOwnFold' : 'admitted'),
      ) &&
      wants(rules, { notBehind: WatchCursor.none }, { cursor: WatchCursor.none }) === 'admitted' &&
      wants(rules, { notBehind: WatchCursor.none }, { cursor: FOREIGN }) === 'admitted' &&
      wants(rules, { notBehind: at(5n) }, { cursor: WatchCursor.none }) === 'behindOwnFold' &&
      wants(rules, { notBehind: at(5n) }, { cursor: FOREIGN }) === 'behindOwnFold' &&
      wants(rules, { notBehind: FOREIGN }) === 'behindOwnFold' &&
      wants(rules, { notBehind: FOREIGN }, { cursor: FOREIGN }) === 'admitted' &&
      wants(rules, {
        notBehind: WatchCursor.fromToken(VersionToken.fromRevision(5n), { evictionSeen: true }),
      }) === 'admitted',
  },
]
