import { KvError, protocol, type WatchCursor } from '@slip/kv-core'

import { wholeMs } from './stored-message.ts'

/** What `STREAM.INFO` says that a session acts on. */
export interface StreamFacts {
  /** The creation time, as the server writes it: the incarnation of the bucket. */
  readonly created: string
  readonly firstSequence: number
  readonly lastSequence: number
  /** Subjects with a message, delete markers included. */
  readonly subjectCount: number
  readonly replicas: number
  /** Messages kept of one subject; Infinity without a limit. */
  readonly historyPerKey: number
  /** More than one message of a subject is kept. */
  readonly keepsHistory: boolean
  readonly maxAgeMs: number | undefined
  readonly messageTtls: boolean
  /** A limit can remove a key's newest revision with nobody told: age, TTL, or discard-old with a limit. */
  readonly evictsCurrentValues: boolean
  /** The age at which messages leave, where nothing else makes a current value leave. */
  readonly evictsAfterMs: number | undefined
  /** The server's clock when it answered, Unix milliseconds; a server before 2.10 does not say. */
  readonly serverTimeMs: number | undefined
}

const NANOSECONDS_PER_MS = 1_000_000

interface StreamInfoReply {
  readonly ts?: string
  readonly created: string
  readonly config: {
    readonly max_age?: number
    readonly max_bytes?: number
    readonly max_msgs?: number
    readonly max_msgs_per_subject?: number
    readonly discard?: string
    readonly num_replicas?: number
    readonly allow_msg_ttl?: boolean
  }
  readonly state: {
    readonly first_seq: number
    readonly last_seq: number
    readonly num_subjects?: number
  }
}

/** Reads the reply of `STREAM.INFO`. */
export function streamFacts(reply: unknown): StreamFacts {
  const { ts, created, config, state } = reply as StreamInfoReply
  const maxAge = config.max_age ?? 0
  const maxAgeMs = maxAge > 0 ? maxAge / NANOSECONDS_PER_MS : undefined
  const messageTtls = config.allow_msg_ttl === true
  const limited = (config.max_bytes ?? -1) > 0 || (config.max_msgs ?? -1) > 0
  const discardsOld = limited && config.discard !== 'new'
  const historyPerKey = config.max_msgs_per_subject ?? 0
  return {
    created,
    firstSequence: state.first_seq,
    lastSequence: state.last_seq,
    subjectCount: state.num_subjects ?? 0,
    replicas: config.num_replicas ?? 1,
    historyPerKey: historyPerKey > 0 ? historyPerKey : Infinity,
    keepsHistory: historyPerKey !== 1,
    maxAgeMs,
    messageTtls,
    evictsCurrentValues: maxAgeMs !== undefined || messageTtls || discardsOld,
    evictsAfterMs: messageTtls || discardsOld ? undefined : maxAgeMs,
    serverTimeMs: wholeMs(ts),
  }
}

/** Whether a stream is still the one with `created`, and still holds what stood at `position`. */
export function lineageError(
  bucket: string,
  facts: StreamFacts,
  created: string,
  position: number,
): KvError | undefined {
  if (facts.created !== created)
    return new KvError(
      'BucketRecreated',
      `bucket ${bucket} was created at ${facts.created}, this history is of ${created}`,
    )
  if (facts.lastSequence < position)
    return new KvError(
      'BucketRolledBack',
      `bucket ${bucket} ends at ${facts.lastSequence}, before ${position}, which it had reached`,
    )
  return undefined
}

/**
 * Whether a resume from `after` would silently start at a later message; `cursor` is at or below it. Above
 * `describedFirst` the caller has judged that; a bucket that never evicts loses only what was overwritten.
 */
export function expiredStart(
  bucket: string,
  facts: StreamFacts,
  after: number,
  {
    cursor,
    describedFirst,
  }: { readonly cursor?: WatchCursor | undefined; readonly describedFirst?: number | undefined },
): KvError | undefined {
  const judged = describedFirst !== undefined && facts.firstSequence <= describedFirst
  if (after === 0 || judged) return undefined
  const { evictsCurrentValues, evictsAfterMs, serverTimeMs } = facts
  const expired = protocol.overrun({
    revision: BigInt(after),
    appliedAtMs: cursor?.memo?.serverTimeMs,
    firstRevision: BigInt(facts.firstSequence),
    evictsCurrentValues,
    evictsAfterMs,
    serverTimeMs,
    evictionSeen: false,
  })
  if (!expired) return undefined
  return new KvError(
    'CursorExpired',
    `cursor ${after} expired: bucket ${bucket} starts at ${facts.firstSequence}`,
  )
}
