import { IDLE, NO_FINDING, type AttachState } from './attach-state.ts'

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
  if (s.rebuilding === 0) s.bind = 0
}

/** The staged fold is gone. */
export function dropStaged(s: AttachState, scoped: number): void {
  for (let k = 0; k < scoped; k++) s.staged.set(k, 0)
  s.stagedCursor = 0
  s.rebuilding = 0
  s.forCount = 0
}
