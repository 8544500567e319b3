import { KvError } from '@slip/kv-core'

/** What `STREAM.INFO` says that a session acts on. */
export interface StreamFacts {
  /** The creation time, as the server writes it: the incarnation of the bucket. */
  readonly created: string
  readonly firstSequence: number
  readonly lastSequence: number
  /** Subjects with a message, delete markers included. */
  readonly subjectCount: number
  readonly replicas: number
  /** More than one message of a subject is kept. */
  readonly keepsHistory: boolean
  readonly maxAgeMs: number | undefined
  readonly messageTtls: boolean
  /** A limit can remove a key's newest revision with nobody told: age, TTL, or discard-old with a limit. */
  readonly evictsCurrentValues: boolean
}

const NANOSECONDS_PER_MS = 1_000_000

interface StreamInfoReply {
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
  const { created, config, state } = reply as StreamInfoReply
  const maxAge = config.max_age ?? 0
  const limited = (config.max_bytes ?? -1) > 0 || (config.max_msgs ?? -1) > 0
  return {
    created,
    firstSequence: state.first_seq,
    lastSequence: state.last_seq,
    subjectCount: state.num_subjects ?? 0,
    replicas: config.num_replicas ?? 1,
    keepsHistory: config.max_msgs_per_subject !== 1,
    maxAgeMs: maxAge > 0 ? maxAge / NANOSECONDS_PER_MS : undefined,
    messageTtls: config.allow_msg_ttl === true,
    evictsCurrentValues: maxAge > 0 || config.allow_msg_ttl === true || (limited && config.discard !== 'new'),
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
 * Whether a resume from `after` would silently start at a later message. Above `describedFirst` the
 * caller has judged that; a bucket that never evicts loses only what was overwritten.
 */
export function expiredStart(
  bucket: string,
  facts: StreamFacts,
  after: number,
  describedFirst: number | undefined,
): KvError | undefined {
  const judged = describedFirst !== undefined && facts.firstSequence <= describedFirst
  if (after === 0 || judged || !facts.evictsCurrentValues || facts.firstSequence <= after + 1)
    return undefined
  return new KvError(
    'CursorExpired',
    `cursor ${after} expired: bucket ${bucket} starts at ${facts.firstSequence}`,
  )
}
