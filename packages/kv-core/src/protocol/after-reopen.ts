import type { WatchCursor } from '../cursor.ts'

export interface ReopenInput {
  /** Where the fold stands after it was opened again. */
  readonly found: WatchCursor
  /** Where it stood before the commit that failed. */
  readonly before: WatchCursor
  /** Where that commit would have put it. */
  readonly attempted: WatchCursor
}

/**
 * What follows when the handle of a failed commit was replaced. The fold is as it was, or the commit
 * got through after all: then making it (again) gives the same state. Anywhere else the batch in hand
 * does not fit, and a new session starts from what was found.
 */
export function afterReopen({ found, before, attempted }: ReopenInput): 'commit' | 'restart' {
  return found.token.equals(before.token) || found.token.equals(attempted.token) ? 'commit' : 'restart'
}
