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

export const BINDING: Binding = {
  kind: 'model',
  name: 'bucket',
  incarnation: 'one',
  scope: ['a.'],
  whenEvicted: 'drop',
  evictionSeen: false,
}
export const SOURCE: SourceDescription = {
  kind: 'model',
  name: 'bucket',
  incarnation: 'one',
  firstRevision: 1n,
  lastRevision: 9n,
  evictsCurrentValues: false,
}
/** A cursor that is no revision. */
export const FOREIGN: WatchCursor = WatchCursor.fromToken(VersionToken.fromHex('00112233445566778899'))
const { incarnation: _, ...unstated } = SOURCE
/** It does not say which history it has. */
export const UNSTATED: SourceDescription = unstated

export interface Change extends Partial<Omit<AttachInput, 'fold' | 'source'>> {
  readonly fold?: Partial<AttachInput['fold']>
  readonly source?: SourceDescription
}

/** What is decided when `change` is all that differs from a fold at revision 5 of a bucket at 9. */
export function decided(rules: Protocol, { fold, source = SOURCE, ...rest }: Change): AttachDecision {
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
export function told(rules: Protocol, change: Change): string {
  const decision = decided(rules, change)
  return 'reason' in decision ? `${decision.action} ${decision.reason}` : decision.action
}

export const REASONS: readonly RebuildReason[] = [
  'bucketRecreated',
  'bucketRolledBack',
  'cursorExpired',
  'cursorMissing',
  'brokenLineage',
  'countMismatch',
]
export const OTHER_HISTORY: readonly RebuildReason[] = [
  'bucketRecreated',
  'bucketRolledBack',
  'brokenLineage',
]
