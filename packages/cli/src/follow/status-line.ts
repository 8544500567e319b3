import { WatchCursor, type FollowStatus } from '@slip/kv-core'
import { revisionJson } from '../output/wire.ts'

/** Where a follower stands before its fold is open. */
export const OPENING: FollowStatus = {
  state: 'opening',
  appliedCursor: WatchCursor.none,
  durableCursor: WatchCursor.none,
  entries: 0,
  applied: 0,
  delivered: 0,
  deliveredBytes: 0,
  relisted: 0,
  skipped: 0,
  sessions: 0,
  unverified: [],
}

/** One JSON line of `slip follow`. */
export function statusLine(status: FollowStatus): Record<string, unknown> {
  return {
    time: new Date().toISOString(),
    state: status.state,
    ...(status.reason === undefined ? {} : { reason: status.reason }),
    cursor: status.appliedCursor.toHex(),
    revision: revisionJson(status.appliedCursor.revision),
    durableRevision: revisionJson(status.durableCursor.revision),
    streamLast: revisionJson(status.streamLast),
    lag: status.state === 'live' ? 0 : revisionJson(status.lag),
    entries: status.entries,
    applied: status.applied,
    delivered: status.delivered,
    deliveredBytes: status.deliveredBytes,
    relisted: status.relisted,
    skipped: status.skipped,
    sessions: status.sessions,
    verifiedThrough: revisionJson(status.verifiedThrough),
  }
}

/** The same for people. */
export function statusText(status: FollowStatus): string {
  const { state, reason, appliedCursor, entries, lag, delivered } = status
  const behind = state === 'live' || lag === undefined ? '' : `  ${lag} behind`
  return `${state}${reason === undefined ? '' : ` (${reason})`}  revision ${String(appliedCursor.revision ?? '-')}  ${entries} entries  ${delivered} delivered${behind}`
}
