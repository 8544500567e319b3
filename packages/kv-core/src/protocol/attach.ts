import type { WatchCursor } from '../cursor.ts'
import { coversScope, type Binding } from '../lineage.ts'
import type { SourceDescription } from '../source.ts'
import type { HistoryVerdict } from './judge-history.ts'
import { listingIsTruth } from './listing-is-truth.ts'
import { overrun } from './overrun.ts'
import { sawEviction } from './saw-eviction.ts'

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
  /** Empty values were values when the fold was made, and are removals now, or the other way round. */
  | 'emptyValuesChanged'
  /** An artifact is far ahead of it, and takes its place. */
  | 'behindArtifact'

export interface AttachInput {
  readonly fold: {
    /** undefined when the store kept none. */
    readonly binding: Binding | undefined
    readonly cursor: WatchCursor
    readonly populated: boolean
    /** The source's time of a message at or below the cursor, Unix milliseconds, where one is known. */
    readonly appliedAtMs?: bigint | undefined
    /** Whether a new fold can be made beside it. @default true */
    readonly stages?: boolean | undefined
    /** Whether it is a state that the bucket was in, where that is known. */
    readonly settled?: boolean | undefined
  }
  readonly source: SourceDescription
  /** Canonical prefixes of what is to be followed. */
  readonly scope: readonly string[]
  readonly whenEvicted: 'drop' | 'keep'
  readonly repair: 'auto' | 'relist' | 'restore' | 'none'
  /** Whether there is somewhere to get an artifact from, and to put it. @default false */
  readonly restores?: boolean | undefined
  /** @default what the fold was made with */
  readonly emptyValues?: 'tombstone' | 'keep' | undefined
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
  /** The fold, a replica of record, fell behind: an artifact may have what it missed. */
  | { readonly action: 'restore'; readonly reason: RebuildReason; readonly evictionSeen: boolean }
  /** The fold fell behind and may be repaired neither from a listing nor from an artifact. */
  | { readonly action: 'refuse'; readonly reason: RebuildReason; readonly evictionSeen: boolean }

/** Judges, before every session, whether the fold may go on from its cursor. */
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
    const expired = overrun({
      revision,
      appliedAtMs: fold.appliedAtMs,
      firstRevision: source.firstRevision,
      evictsCurrentValues: source.evictsCurrentValues,
      evictsAfterMs: source.evictsAfterMs,
      serverTimeMs: source.serverTimeMs,
      evictionSeen: input.whenEvicted === 'keep' && remembersEviction(fold),
    })
    if (expired) return repaired(input, 'cursorExpired')
  }
  if (input.finding !== undefined) return repaired(input, input.finding)
  if (changesEmptyValues(input)) return repaired(input, 'emptyValuesChanged')
  if (input.history === 'other') return otherHistory('bucketRolledBack')
  if (input.history === 'differs') return repaired(input, 'revisionMismatch')
  // Of a fold that is no state of the bucket, agreeing with its history proves nothing.
  const unproven = input.history === 'unknown' || (input.history === 'same' && fold.settled === false)
  return { action: unproven ? 'reconcile' : 'resume' }
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

function changesEmptyValues({ fold: { binding }, emptyValues }: AttachInput): boolean {
  return (
    emptyValues !== undefined && binding !== undefined && (binding.emptyValues ?? 'tombstone') !== emptyValues
  )
}

function remembersEviction({ binding, cursor }: AttachInput['fold']): boolean {
  return binding?.evictionSeen === true || cursor.memo !== undefined
}

/**
 * Another history replaces the fold under every policy. Within one history a listing may not, where it
 * would delete keys that the policy keeps. A fold that is emptied first has nothing to go back to when its
 * bucket begins to evict before the new one is complete.
 */
function repaired(input: AttachInput, reason: RebuildReason): AttachDecision {
  if (reason === 'bucketRecreated' || reason === 'bucketRolledBack' || reason === 'brokenLineage')
    return otherHistory(reason)
  const { whenEvicted, repair, fold } = input
  const { evictsCurrentValues, evictsOldestFirst, firstRevision } = input.source
  const retention = { whenEvicted, evictsCurrentValues, evictsOldestFirst, firstRevision }
  const before = remembersEviction(fold) || (reason === 'cursorExpired' && evictsCurrentValues === true)
  const evictionSeen = sawEviction({ ...retention, before })
  const relists = repair === 'auto' || repair === 'relist'
  const staysTrue = whenEvicted === 'drop' || fold.stages !== false || evictsCurrentValues === false
  if (relists && staysTrue && listingIsTruth({ ...retention, evictionSeen }))
    return { action: 'rebuild', reason, history: 'same', evictionSeen }
  const restores =
    input.restores === true && whenEvicted === 'keep' && !(repair === 'relist' || repair === 'none')
  return { action: restores ? 'restore' : 'refuse', reason, evictionSeen }
}
