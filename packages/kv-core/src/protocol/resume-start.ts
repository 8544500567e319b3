import type { WatchCursor } from '../cursor.ts'

const MAX_U64 = 0xffff_ffff_ffff_ffffn

/** Where a watch starts, or why it cannot. */
export type ResumeStart =
  | { readonly action: 'start'; readonly fromRevision: bigint }
  /** No position: everything is delivered. */
  | { readonly action: 'fromBeginning' }
  | { readonly action: 'refuse'; readonly reason: 'notARevision' | 'lastRevision' }

/**
 * The first revision a watch after `cursor` asks for: the one place where "after" becomes "from". A
 * cursor without a u64 form, and 2^64-1, whose successor would wrap, are refused.
 */
export function resumeStart(cursor: WatchCursor): ResumeStart {
  if (cursor.isNone) return { action: 'fromBeginning' }
  const revision = cursor.revision
  if (revision === undefined) return { action: 'refuse', reason: 'notARevision' }
  if (revision === MAX_U64) return { action: 'refuse', reason: 'lastRevision' }
  return { action: 'start', fromRevision: revision + 1n }
}
