import { KvError, type WatchCursor } from '@slip/kv-core'

const MAX_U64 = 0xffff_ffff_ffff_ffffn

/**
 * The sequence a resuming consumer starts at: one above the cursor. The only place that adds the one.
 * KvError `CursorExpired` for a cursor without a numeric form or at 2^64-1, which has no successor.
 */
export function resumeStart(after: WatchCursor): bigint {
  const revision = after.revision
  if (revision === undefined)
    throw new KvError('CursorExpired', 'the cursor is not a revision of a NATS bucket')
  if (revision === MAX_U64)
    throw new KvError('CursorExpired', 'the cursor is at 2^64-1, after which there is nothing')
  return revision + 1n
}
