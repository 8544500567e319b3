import type { WatchCursor } from '../cursor.ts'
import { KvError, SnapshotError } from '../errors.ts'
import type { Binding } from '../lineage.ts'
import type { AttachDecision, RebuildReason } from '../protocol/attach.ts'
import type { HistoryVerdict } from '../protocol/judge-history.ts'
import { protocol } from '../protocol/protocol.ts'
import type { SourceDescription } from '../source.ts'
import type { FollowSettings } from './follow-settings.ts'

/** What the attach kernel is asked about a fold. */
export interface FoldStanding {
  readonly binding: Binding | undefined
  readonly cursor: WatchCursor
  readonly populated: boolean
  /** The source's time of a message at or below the cursor, Unix milliseconds. */
  readonly appliedAtMs?: bigint | undefined
  readonly stages?: boolean | undefined
  readonly restores?: boolean | undefined
  readonly settled?: boolean
}

export function attachDecision(
  { prefixes, whenEvicted, repair, emptyValues }: FollowSettings,
  source: SourceDescription,
  fold: FoldStanding,
  found: { readonly finding?: RebuildReason | undefined; readonly history?: HistoryVerdict | undefined } = {},
): AttachDecision {
  const { restores } = fold
  return protocol.attach({
    fold,
    source,
    scope: prefixes,
    whenEvicted,
    repair,
    restores,
    emptyValues,
    ...found,
  })
}

/** Whether the bucket was seen to evict. Another history is another bucket, as far as this goes. */
export function seesEviction(
  { whenEvicted }: FollowSettings,
  source: SourceDescription,
  fold: FoldStanding,
  decision: AttachDecision,
): boolean {
  const { evictsCurrentValues, evictsOldestFirst, firstRevision } = source
  const seen =
    fold.binding?.evictionSeen === true ||
    fold.cursor.memo !== undefined ||
    ('evictionSeen' in decision && decision.evictionSeen)
  const before = seen && !(decision.action === 'rebuild' && decision.history === 'other')
  return protocol.sawEviction({ whenEvicted, before, evictsCurrentValues, evictsOldestFirst, firstRevision })
}

/** What a fold of this source belongs to; what the source does not say stays as it was `stored`. */
export function bindingTo(
  { prefixes, whenEvicted, emptyValues }: FollowSettings,
  source: SourceDescription,
  evictionSeen: boolean,
  stored?: Binding,
): Binding {
  const incarnation = source.incarnation ?? stored?.incarnation
  return {
    kind: source.kind,
    name: source.name,
    ...(incarnation === undefined ? {} : { incarnation }),
    scope: prefixes,
    whenEvicted,
    ...(emptyValues === 'keep' ? { emptyValues } : {}),
    evictionSeen,
  }
}

/** The source does not say what it is asked while a fold is attached. */
export class Unanswered extends Error {
  constructor(cause: unknown) {
    super('the source does not say what it is asked', { cause })
  }
}

/** No artifact that is to be had repairs the fold. */
export class Unrestored extends Error {}

/** No retry mends it. */
export function foreign(differs: string, cursor: WatchCursor): SnapshotError {
  return new SnapshotError('ForeignFold', `the fold belongs to another bucket: its ${differs} differs`, {
    cursor,
  })
}

/** What is left of the bucket cannot repair the fold, or may not. */
export function refused(
  reason: RebuildReason,
  source: SourceDescription,
  cursor: WatchCursor,
  unrestored?: Unrestored,
): KvError {
  const begins =
    reason === 'cursorExpired' ? `; ${source.name} begins at revision ${source.firstRevision}` : ''
  return new KvError(
    'RepairRefused',
    `the fold at revision ${cursor.revision ?? 'none'} cannot go on (${reason}${begins}), and may not be repaired from what the bucket still has${unrestored === undefined ? '' : `, nor from an artifact: ${unrestored.message}`}; bootstrap a new fold from the artifact of another node, or follow with another repair policy`,
    { cursor, cause: unrestored?.cause },
  )
}
