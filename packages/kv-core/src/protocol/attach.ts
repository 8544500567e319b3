import type { WatchCursor } from '../cursor.ts'
import { coversScope, type Binding } from '../lineage.ts'
import type { SourceDescription } from '../source.ts'
import type { HistoryVerdict } from './judge-history.ts'

/** Why a fold is built anew from the source. */
export type RebuildReason =
  | 'bucketRecreated'
  | 'bucketRolledBack'
  | 'cursorExpired'
  /** Entries without a position: what was deleted meanwhile cannot be told. */
  | 'cursorMissing'
  /** The source delivered revisions the fold already has, again after attaching anew. */
  | 'brokenLineage'
  | 'countMismatch'
  /** The bucket holds another revision of a key than the fold. */
  | 'revisionMismatch'

export interface AttachInput {
  readonly fold: {
    /** undefined when the store kept none. */
    readonly binding: Binding | undefined
    readonly cursor: WatchCursor
    readonly populated: boolean
  }
  readonly source: SourceDescription
  /** Canonical prefixes of what is to be followed. */
  readonly scope: readonly string[]
  readonly whenEvicted: 'drop' | 'keep'
  readonly repair: 'auto' | 'relist' | 'restore' | 'none'
  /** What the last session, or the audit, found out. */
  readonly finding?: RebuildReason | undefined
  /** What the bucket's history said of the fold's anchors; undefined when it was not asked. */
  readonly history?: HistoryVerdict | undefined
}

export type AttachDecision =
  | { readonly action: 'fresh' }
  | { readonly action: 'resume' }
  /** Go on, but claim nothing before a listing of the bucket equals the fold. */
  | { readonly action: 'reconcile' }
  | {
      readonly action: 'rebuild'
      readonly reason: RebuildReason
      /** `other`: nothing of the fold belongs to what the bucket holds. */
      readonly history: 'same' | 'other'
      readonly evictionSeen: boolean
    }
  /** The fold of another bucket or scope. */
  | { readonly action: 'foreign'; readonly differs: 'kind' | 'name' | 'scope' }
  /** The fold fell behind and may not be repaired from a listing. */
  | { readonly action: 'refuse'; readonly reason: RebuildReason; readonly evictionSeen: boolean }

/**
 * Judges, before every session, whether the fold may go on from its cursor.
 *
 * Overwriting keys moves the first revision of a bucket forward and loses nothing, so a first revision
 * beyond the cursor counts as expiry only where current values can be evicted, or the source cannot
 * say that they are not.
 */
export function attach(input: AttachInput): AttachDecision {
  const { fold, source } = input
  const foreign = foreignBinding(input)
  if (foreign !== undefined) return { action: 'foreign', differs: foreign }
  if (fold.cursor.isNone && !fold.populated) return { action: 'fresh' }
  if (
    fold.binding?.incarnation !== undefined &&
    source.incarnation !== undefined &&
    fold.binding.incarnation !== source.incarnation
  )
    return otherHistory('bucketRecreated')
  if (fold.cursor.isNone) return repaired(input, 'cursorMissing')
  const revision = fold.cursor.revision
  if (revision === undefined) {
    const numbered = source.lastRevision !== undefined
    if (numbered) return repaired(input, 'cursorExpired')
  } else {
    if (source.lastRevision !== undefined && revision > source.lastRevision)
      return otherHistory('bucketRolledBack')
    const gap = source.firstRevision !== undefined && source.firstRevision > revision + 1n
    if (gap && source.evictsCurrentValues !== false) return repaired(input, 'cursorExpired')
  }
  if (input.finding !== undefined) return repaired(input, input.finding)
  if (input.history === 'other') return otherHistory('bucketRolledBack')
  if (input.history === 'differs') return repaired(input, 'revisionMismatch')
  return { action: input.history === 'unknown' ? 'reconcile' : 'resume' }
}

function foreignBinding({ fold, source, scope }: AttachInput): 'kind' | 'name' | 'scope' | undefined {
  const binding = fold.binding
  if (binding === undefined) return undefined
  if (binding.kind !== source.kind) return 'kind'
  if (binding.name !== source.name) return 'name'
  return coversScope(binding, scope) ? undefined : 'scope'
}

function otherHistory(reason: RebuildReason): AttachDecision {
  return { action: 'rebuild', reason, history: 'other', evictionSeen: false }
}

/**
 * Another history replaces the fold under every policy. Within one history a listing may not, where it
 * would delete keys that the policy keeps.
 */
function repaired(input: AttachInput, reason: RebuildReason): AttachDecision {
  if (reason === 'bucketRecreated' || reason === 'bucketRolledBack' || reason === 'brokenLineage')
    return otherHistory(reason)
  const evictionSeen =
    input.fold.binding?.evictionSeen === true ||
    input.fold.cursor.memo !== undefined ||
    (reason === 'cursorExpired' && input.source.evictsCurrentValues === true)
  const mayRelist = input.whenEvicted === 'drop' && (input.repair === 'auto' || input.repair === 'relist')
  if (!mayRelist) return { action: 'refuse', reason, evictionSeen }
  return { action: 'rebuild', reason, history: 'same', evictionSeen }
}
