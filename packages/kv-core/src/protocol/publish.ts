import type { WatchCursor } from '../cursor.ts'
import { compareHistories } from '../history-order.ts'
import type { Binding } from '../lineage.ts'
import type { SourceDescription } from '../source.ts'
import { compareTokens } from '../token-order.ts'

/** Where an artifact stands, by its manifest. */
export interface ArtifactPosition {
  /** Ours, or one that the Rust system reads. A name holds artifacts of one family. */
  readonly family: 'native' | 'interchange'
  readonly cursor: WatchCursor
  /** Absent in an interchange artifact, and in one of a fold that was never bound. */
  readonly binding: Binding | undefined
}

export interface PublishInput {
  readonly candidate: ArtifactPosition
  /** What the pointer names; undefined when there is none, or one that nobody can read. */
  readonly pointer: ArtifactPosition | undefined
  /** What the bucket's source says of it, asked after the pointer was read; undefined when nobody asked. */
  readonly source: Pick<SourceDescription, 'incarnation' | 'lastRevision'> | undefined
}

export type PublishVerdict =
  | 'publish'
  | 'superseded'
  | 'otherFamily'
  | 'otherBucket'
  | 'pastHistory'
  | 'unordered'

/**
 * Whether a pointer may be moved to an artifact, by compare-and-swap on the pointer that was read. It never
 * goes back: it ranks by history, then by cursor; equals replace each other. A history that is over can be
 * told by the source: it has another one by now, or it never came as far as the artifact. As a history that
 * is over does not begin again, what the source said after the pointer was read still holds when the swap
 * finds it unmoved. Where nobody asked, the history that began later is the newer one.
 */
export function publish({ candidate, pointer, source }: PublishInput): PublishVerdict {
  if (isOver(candidate, source)) return 'pastHistory'
  if (pointer === undefined) return 'publish'
  if (candidate.family !== pointer.family) return 'otherFamily'
  const [own, other] = [candidate.binding, pointer.binding]
  if (differ(own?.kind, other?.kind) || differ(own?.name, other?.name)) return 'otherBucket'
  if (isOver(pointer, source)) return 'publish'
  const order = compareHistories(own?.incarnation, other?.incarnation)
  if (order === undefined) return 'unordered'
  if (order !== 0) return order === 1 ? 'publish' : 'superseded'
  return isBehind(candidate.cursor, pointer.cursor) ? 'superseded' : 'publish'
}

function isOver({ binding, cursor }: ArtifactPosition, source: PublishInput['source']): boolean {
  if (source === undefined) return false
  const isAhead = (cursor.revision ?? 0n) > (source.lastRevision ?? Infinity)
  return isAhead || differ(binding?.incarnation, source.incarnation)
}

function differ(stated: string | undefined, other: string | undefined): boolean {
  return stated !== undefined && other !== undefined && stated !== other
}

/** Versions of one engine by their bytes; others as the Rust system does, for which only revisions have a rank. */
function isBehind(cursor: WatchCursor, other: WatchCursor): boolean {
  if (cursor.isNone) return !other.isNone
  const order = compareTokens(cursor.token, other.token)
  return order === undefined ? (cursor.revision ?? 0n) < (other.revision ?? 0n) : order < 0
}
