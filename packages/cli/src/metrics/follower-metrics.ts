import type { RoundsStatus } from '@slip/export'
import type { FollowState, FollowStatus } from '@slip/kv-core'
import type { Metric, Sample } from './exposition.ts'

/** What is followed, and by which version; never a key or a credential. */
export interface FollowerLabels {
  readonly bucket: string
  readonly fold: string
  readonly version: string
}

const STATES: readonly FollowState[] = [
  'opening',
  'connecting',
  'catchingUp',
  'live',
  'resyncing',
  'stale',
  'failed',
  'closed',
]

/** A follower's status as metrics. What is not known is left out, so that it is absent instead of 0. */
export function followerMetrics(
  labels: FollowerLabels,
  status: FollowStatus,
  rounds: RoundsStatus | undefined,
): readonly Metric[] {
  const { state, lastContactMs } = status
  const isState = (each: FollowState): Sample => ({ labels: { state: each }, value: each === state ? 1 : 0 })
  return [
    gauge('slip_follow_info', 'What is followed.', [{ labels: { ...labels }, value: 1 }]),
    gauge('slip_follow_state', '1 for the state it is in.', STATES.map(isState)),
    one('slip_follow_revision', 'Applied revision.', status.appliedCursor.revision),
    one(
      'slip_follow_durable_revision',
      'What the last successful sync covers.',
      status.durableCursor.revision,
    ),
    one('slip_follow_stream_last_revision', 'Newest revision of the bucket heard of.', status.streamLast),
    one('slip_follow_verified_revision', 'Here the fold equalled the bucket.', status.verifiedThrough),
    one('slip_follow_lag_revisions', 'Behind the bucket; 0 when live.', status.lag),
    one('slip_follow_entries', 'Live keys of the fold.', status.entries),
    one('slip_follow_skipped_keys', 'Keys the fold could not hold.', status.skipped),
    gauge(
      'slip_follow_unverified',
      '1 for a check that is off.',
      status.unverified.map((check) => ({ labels: { check }, value: 1 })),
    ),
    one(
      'slip_follow_last_contact_timestamp_seconds',
      'The last proof of life.',
      lastContactMs === undefined ? undefined : lastContactMs / 1_000,
    ),
    counter('slip_follow_applied_total', 'Updates handed to the fold.', status.applied),
    counter('slip_follow_delivered_total', 'Updates that were delivered.', status.delivered),
    counter('slip_follow_delivered_bytes_total', 'Key and value bytes of those.', status.deliveredBytes),
    counter('slip_follow_relisted_total', 'Entries read for repairs.', status.relisted),
    counter('slip_follow_sessions_total', 'Sessions with the source.', status.sessions),
    { ...counter('slip_follow_rounds_total', 'Export rounds by outcome.', 0), samples: outcomes(rounds) },
    one('process_resident_memory_bytes', 'Resident memory.', process.memoryUsage.rss()),
    one('process_start_time_seconds', 'When the process began.', STARTED_SECONDS),
  ]
}

const STARTED_SECONDS = Math.round(performance.timeOrigin) / 1_000

function outcomes(rounds: RoundsStatus | undefined): readonly Sample[] {
  if (rounds === undefined) return []
  const { published, unchanged, superseded, held, failed } = rounds
  return Object.entries({ published, unchanged, superseded, held, failed }).map(([outcome, value]) => ({
    labels: { outcome },
    value,
  }))
}

function gauge(name: string, help: string, samples: readonly Sample[]): Metric {
  return { name, help, type: 'gauge', samples }
}

function one(name: string, help: string, value: number | bigint | undefined): Metric {
  return gauge(name, help, value === undefined ? [] : [{ value }])
}

function counter(name: string, help: string, value: number): Metric {
  return { name, help, type: 'counter', samples: [{ value }] }
}
