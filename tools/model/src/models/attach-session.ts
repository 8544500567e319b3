import type { RebuildReason } from '@slip/kv-core'
import {
  ATTACHED,
  DOWN,
  FAILED,
  IDLE,
  NO_FINDING,
  WATCHING,
  type AttachShape,
  type AttachState,
} from './attach-state.ts'

/** What a session leaves for the next one; a rebuild under way goes on. */
export function endSession(
  s: AttachState,
  left: { readonly finding?: number; readonly suspect?: boolean },
): void {
  s.mode = IDLE
  s.finding = left.finding ?? NO_FINDING
  s.suspect = left.suspect === true ? 1 : 0
  s.sent = 0
  s.target = 0
  s.caught = 0
  s.dead = 0
  s.unsure = 0
  s.initial = 0
  if (s.rebuilding === 0) s.bind = s.bindSeen = 0
}

/** The staged fold is gone. */
export function dropStaged(s: AttachState, scoped: number): void {
  for (let k = 0; k < scoped; k++) s.staged.set(k, 0)
  s.stagedCursor = 0
  s.stagedUnsettled = 0
  s.rebuilding = 0
  s.forCount = 0
}

export function start(s: AttachState): boolean {
  if (s.mode !== DOWN) return false
  s.mode = IDLE
  return true
}

/** After a repair was refused, by somebody who does not know better. */
export function startAgain(s: AttachState): boolean {
  if (s.mode !== FAILED) return false
  s.mode = IDLE
  return true
}

/** Heartbeats are missing. */
export function noticeDead(s: AttachState): boolean {
  if (s.dead === 0) return false
  endSession(s, {})
  return true
}

export function disconnect(s: AttachState): boolean {
  if (s.mode !== WATCHING && s.mode !== ATTACHED) return false
  endSession(s, {})
  return true
}

/** A second fold is begun beside the one in use. */
export function startRebuild(s: AttachState, scoped: number, reason: RebuildReason): void {
  dropStaged(s, scoped)
  s.rebuilding = 1
  s.forCount = reason === 'countMismatch' ? 1 : 0
}

/** The new fold becomes the one in use. */
export function swap(shape: AttachShape, s: AttachState): void {
  for (let k = 0; k < shape.scoped; k++) s.fold.set(k, s.staged.at(k))
  s.cursor = s.stagedCursor
  s.seen = s.bindSeen
  s.unsettled = s.stagedUnsettled
  dropStaged(s, shape.scoped)
}

/** A delivery, or a bookmark, is in the fold that is written; `settled` says what it tells of the fold. */
export function commit(shape: AttachShape, s: AttachState, revision: number, settled: boolean): void {
  const unsettled = shape.tracksSettled && (!settled || s.unsure === 1) ? 1 : 0
  if (s.rebuilding === 1) {
    s.stagedCursor = revision
    s.stagedUnsettled = unsettled
  } else {
    s.cursor = revision
    s.unsettled = unsettled
    s.bound = s.bind
    s.seen = s.bindSeen
    if (shape.keepsRecord && s.initial === 0) s.owed = 1
  }
}
