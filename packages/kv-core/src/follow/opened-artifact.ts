import { decodeLineage, type Lineage } from '../lineage.ts'
import type { HistoryVerdict } from '../protocol/judge-history.ts'
import type { SourceDescription } from '../source.ts'
import type { FollowSource } from '../follow-source.ts'
import type { SnapshotStore } from '../store.ts'
import { AnchorRing } from './anchor-ring.ts'
import { Unanswered } from './attach-decision.ts'
import type { FollowSettings } from './follow-settings.ts'
import { askHistory } from './history-proof.ts'

/** What an artifact says of itself when it is opened. */
export interface OpenedArtifact<S> {
  readonly store: S
  readonly lineage: Lineage | undefined
  readonly ring: AnchorRing
  /** The source's time of a message at or below its cursor, Unix milliseconds, where one is known. */
  readonly appliedAtMs: bigint | undefined
}

/** SnapshotError of a lineage that cannot be read. */
export function openedArtifact<S extends SnapshotStore>(store: S): OpenedArtifact<S> {
  const lineage = store.lineage === undefined ? undefined : decodeLineage(store.lineage)
  const ring = new AnchorRing(lineage?.anchors ?? [], lineage?.anchorsComplete === true)
  return { store, lineage, ring, appliedAtMs: ring.newest?.timeMs ?? store.cursor.memo?.serverTimeMs }
}

/** What a bucket says of an artifact's anchors; undefined when it may not be asked. Rejects with `Unanswered`. */
export async function historyOf<S extends SnapshotStore>(
  { store, ring }: OpenedArtifact<S>,
  { watcher }: FollowSource,
  { historyPerKey }: SourceDescription,
  { scope, signal }: Pick<FollowSettings, 'scope'> & { readonly signal: AbortSignal },
): Promise<HistoryVerdict | undefined> {
  const { history } = watcher
  const { revision } = store.cursor
  if (history === undefined || revision === undefined) return undefined
  try {
    const question = { history, scope, historyPerKey, signal }
    return (await askHistory({ ring, cursor: revision }, undefined, question))?.verdict
  } catch (cause) {
    throw new Unanswered(cause)
  }
}
