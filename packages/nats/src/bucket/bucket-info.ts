import type { StreamInfo } from './open-bucket.ts'
import { settingsOf } from './stream-config.ts'

/** What a bucket is set to and holds; `null` is a limit that is not set. Made to be printed as JSON. */
export interface BucketInfo {
  readonly name: string
  readonly history: number
  readonly maxAgeMs: number | null
  readonly maxBytes: number | null
  readonly maxValueBytes: number | null
  readonly discard: 'new' | 'old'
  readonly replicas: number
  readonly storage: 'file' | 'memory'
  readonly markerTtlMs: number | null
  /** Key names the bucket has a message of, deleted ones with a marker included. */
  readonly keys: number
  readonly bytes: number
  readonly firstRevision: number
  readonly lastRevision: number
  /** ISO 8601, UTC. */
  readonly created: string
}

export function bucketInfo(name: string, { created, config, state }: StreamInfo): BucketInfo {
  const settings = settingsOf(config)
  return {
    name,
    history: settings.history,
    maxAgeMs: settings.maxAgeMs ?? null,
    maxBytes: settings.maxBytes ?? null,
    maxValueBytes: settings.maxValueBytes ?? null,
    discard: settings.discard,
    replicas: settings.replicas,
    storage: settings.storage,
    markerTtlMs: settings.markerTtlMs ?? null,
    keys: state.num_subjects ?? 0,
    bytes: state.bytes,
    firstRevision: state.first_seq,
    lastRevision: state.last_seq,
    created: new Date(created).toISOString(),
  }
}
