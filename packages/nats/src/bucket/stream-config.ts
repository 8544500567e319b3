import type { SettingDrift, StorageType, StoreConfig } from '@slip/kv-core'

/** The fields of a stream's configuration a bucket is about, as they stand on the wire. */
export interface StreamConfig {
  readonly max_msgs_per_subject?: number
  readonly max_age?: number
  readonly max_bytes?: number
  readonly max_msg_size?: number
  readonly storage?: StorageType
  readonly num_replicas?: number
  readonly discard?: 'new' | 'old'
  readonly allow_direct?: boolean
  readonly allow_msg_ttl?: boolean
  readonly subject_delete_marker_ttl?: number
  readonly mirror?: { readonly name: string; readonly subject_transforms?: readonly unknown[] }
}

/** What a bucket is set to; a limit that is not set is undefined. */
export interface BucketSettings {
  readonly history: number
  readonly maxAgeMs: number | undefined
  readonly maxBytes: number | undefined
  readonly maxValueBytes: number | undefined
  readonly storage: StorageType
  readonly replicas: number
  readonly discard: 'new' | 'old'
  readonly markerTtlMs: number | undefined
}

const MAX_HISTORY = 64
const NANOSECONDS_PER_MS = 1_000_000
const DUPLICATE_WINDOW_MS = 120_000
const MIN_MARKER_TTL_MS = 1_000

/** The stream behind a bucket. */
export function streamName(bucket: string): string {
  return `KV_${bucket}`
}

/** The bucket a mirror copies; undefined for a bucket that is written itself. */
export function originOf({ mirror }: StreamConfig): string | undefined {
  return mirror?.name.startsWith('KV_') === true ? mirror.name.slice('KV_'.length) : mirror?.name
}

/** What stands before a key in a subject. A mirror stores the subjects of its origin, unless they are transformed. */
export function subjectPrefix(bucket: string, config: StreamConfig): string {
  const transformed = (config.mirror?.subject_transforms ?? []).length > 0
  return `$KV.${transformed ? bucket : (originOf(config) ?? bucket)}.`
}

/**
 * The standard layout of a KV bucket, as the NATS CLI and `@nats-io/kv` make and read it. `RangeError`
 * for a setting no server accepts.
 */
export function newStream(bucket: string, config: StoreConfig): object {
  const history = limit('history', config.history) ?? 1
  if (history > MAX_HISTORY) throw new RangeError(`history must be 1 to ${MAX_HISTORY}, not ${history}`)
  const maxAgeMs = limit('maxAgeMs', config.maxAgeMs) ?? 0
  const markerTtlMs = limit('markerTtlMs', config.markerTtlMs)
  // The server takes whole seconds, and reads the rest of one away.
  if (markerTtlMs !== undefined && (markerTtlMs < MIN_MARKER_TTL_MS || markerTtlMs % 1_000 !== 0))
    throw new RangeError(`markerTtlMs must be whole seconds, at least 1,000, not ${markerTtlMs}`)
  const duplicateWindowMs = maxAgeMs > 0 ? Math.min(maxAgeMs, DUPLICATE_WINDOW_MS) : DUPLICATE_WINDOW_MS
  return {
    name: streamName(bucket),
    subjects: [`$KV.${bucket}.>`],
    retention: 'limits',
    max_consumers: -1,
    max_msgs: -1,
    max_msgs_per_subject: history,
    max_bytes: limit('maxBytes', config.maxBytes) ?? -1,
    max_age: maxAgeMs * NANOSECONDS_PER_MS,
    max_msg_size: limit('maxValueBytes', config.maxValueBytes) ?? -1,
    storage: config.storage ?? 'file',
    num_replicas: limit('replicas', config.replicas) ?? 1,
    discard: config.discard ?? 'new',
    duplicate_window: duplicateWindowMs * NANOSECONDS_PER_MS,
    allow_rollup_hdrs: true,
    deny_delete: true,
    deny_purge: false,
    allow_direct: true,
    ...(markerTtlMs === undefined
      ? {}
      : { allow_msg_ttl: true, subject_delete_marker_ttl: markerTtlMs * NANOSECONDS_PER_MS }),
  }
}

/** Reads a stream's configuration back. */
export function settingsOf(config: StreamConfig): BucketSettings {
  const markerTtl = config.allow_msg_ttl === true ? config.subject_delete_marker_ttl : undefined
  return {
    history: config.max_msgs_per_subject ?? 1,
    maxAgeMs: milliseconds(config.max_age),
    maxBytes: positive(config.max_bytes),
    maxValueBytes: positive(config.max_msg_size),
    storage: config.storage ?? 'file',
    replicas: config.num_replicas ?? 1,
    discard: config.discard ?? 'old',
    markerTtlMs: milliseconds(markerTtl),
  }
}

/** The settings that were asked for and are otherwise. */
export function settingDrift(wanted: StoreConfig, found: BucketSettings): readonly SettingDrift[] {
  return (Object.keys(found) as (keyof BucketSettings)[])
    .filter((setting) => wanted[setting] !== undefined && wanted[setting] !== found[setting])
    .map((setting) => ({ setting, wanted: wanted[setting], found: found[setting] }))
}

function limit(name: string, value: number | undefined): number | undefined {
  if (value !== undefined && (!Number.isSafeInteger(value) || value < 1))
    throw new RangeError(`${name} must be a whole number above 0, not ${value}`)
  return value
}

function positive(value: number | undefined): number | undefined {
  return value !== undefined && value > 0 ? value : undefined
}

function milliseconds(nanoseconds: number | undefined): number | undefined {
  return positive(nanoseconds) === undefined ? undefined : nanoseconds! / NANOSECONDS_PER_MS
}
