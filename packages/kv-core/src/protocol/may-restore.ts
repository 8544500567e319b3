import type { WatchCursor } from '../cursor.ts'
import { type Binding, coversScope } from '../lineage.ts'
import { scopeCovers } from '../scope.ts'
import type { SourceDescription } from '../source.ts'
import type { HistoryVerdict } from './judge-history.ts'
import { overrun } from './overrun.ts'

export interface MayRestoreInput {
  readonly artifact: {
    /** Absent in an interchange artifact: its scope was asked for when it was admitted. */
    readonly binding: Binding | undefined
    readonly cursor: WatchCursor
    /** The source's time of a message at or below its cursor, Unix milliseconds, where one is known. */
    readonly appliedAtMs: bigint | undefined
  }
  /** Where the fold stands that is to be repaired. */
  readonly cursor: WatchCursor
  readonly source: SourceDescription
  /** Canonical prefixes of what is followed. */
  readonly scope: readonly string[]
  readonly emptyValues: 'tombstone' | 'keep'
  /** What the bucket said of the artifact's anchors; undefined when it could not be asked. */
  readonly history: HistoryVerdict | undefined
}

/** Why an artifact does not repair a fold. */
export type RestoreRefusal =
  | 'otherBucket'
  | 'otherLineage'
  | 'otherScope'
  | 'otherEviction'
  | 'otherEmptyValues'
  | 'noRevision'
  | 'notAhead'
  | 'aheadOfBucket'
  | 'expired'

/**
 * Whether a replica of record may take what an artifact holds; undefined when it may. To be asked before anything
 * is taken, and again whenever the bucket may have evicted since: what was evicted above the artifact's
 * position is in neither of them.
 */
export function mayRestore(input: MayRestoreInput): RestoreRefusal | undefined {
  const { artifact, source, history } = input
  const { revision } = artifact.cursor
  const other = artifact.binding === undefined ? undefined : contradiction(artifact.binding, input)
  if (other !== undefined) return other
  if (revision === undefined) return 'noRevision'
  if (!input.cursor.isNone && !isAbove(revision, input.cursor)) return 'notAhead'
  if (source.lastRevision !== undefined && revision > source.lastRevision) return 'aheadOfBucket'
  if (history === 'other' || history === 'differs') return 'otherLineage'
  const expired = overrun({
    revision,
    appliedAtMs: artifact.appliedAtMs,
    firstRevision: source.firstRevision,
    evictsCurrentValues: source.evictsCurrentValues,
    evictsAfterMs: source.evictsAfterMs,
    serverTimeMs: source.serverTimeMs,
    evictionSeen: true,
  })
  return expired ? 'expired' : undefined
}

function contradiction(
  binding: Binding,
  { source, scope, emptyValues }: MayRestoreInput,
): RestoreRefusal | undefined {
  if (binding.kind !== source.kind || binding.name !== source.name) return 'otherBucket'
  const incarnations = [binding.incarnation, source.incarnation]
  if (!incarnations.includes(undefined) && incarnations[0] !== incarnations[1]) return 'otherLineage'
  if (binding.whenEvicted !== 'keep') return 'otherEviction'
  if ((binding.emptyValues ?? 'tombstone') !== emptyValues) return 'otherEmptyValues'
  const stated = binding.scope
  const covers =
    'sha256' in stated ? coversScope(binding, scope) : scope.every((prefix) => scopeCovers(stated, prefix))
  return covers ? undefined : 'otherScope'
}

function isAbove(revision: bigint, { revision: own }: WatchCursor): boolean {
  return own !== undefined && revision > own
}
