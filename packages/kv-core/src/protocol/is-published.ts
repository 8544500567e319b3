import type { Binding } from '../lineage.ts'
import type { ArtifactPosition } from './publish.ts'

/** What an export of a fold says, or would say now. */
export interface ExportedState extends ArtifactPosition {
  /** Live keys; undefined where that is not stated. */
  readonly entries: number | undefined
}

export interface IsPublishedInput {
  readonly fold: ExportedState
  /** What the pointer names. */
  readonly artifact: ExportedState
  /** How long ago it was made; below 0 by the clock of another node that is ahead. */
  readonly ageMs: number
  /** From which age on it is made anew, whatever it says. */
  readonly refreshMs: number
}

/**
 * Whether a round need not export: the artifact that is published is of this state. It has to state the history, as
 * a bucket made anew comes to the same revisions, the policies, and as many keys, as a repair leaves the cursor
 * where it was. What none of these shows (a bucket that was rolled back and came as far again, a value that
 * was repaired) a newcomer finds when it attaches and audits; an age that is limited bounds it here.
 */
export function isPublished({ fold, artifact, ageMs, refreshMs }: IsPublishedInput): boolean {
  return (
    fold.binding?.incarnation !== undefined &&
    artifact.binding !== undefined &&
    identityOf(fold.binding) === identityOf(artifact.binding) &&
    fold.family === artifact.family &&
    fold.cursor.equals(artifact.cursor) &&
    fold.entries !== undefined &&
    fold.entries === artifact.entries &&
    Math.abs(ageMs) < refreshMs
  )
}

function identityOf(binding: Binding): string {
  const { kind, name, incarnation, scope, whenEvicted, emptyValues, evictionSeen } = binding
  const policies = [whenEvicted, emptyValues ?? 'tombstone', evictionSeen]
  return JSON.stringify([kind, name, incarnation, scope, ...policies])
}
