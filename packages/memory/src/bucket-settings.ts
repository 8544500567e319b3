import type { SettingDrift, StorageType, StoreConfig } from '@slip/kv-core'

const MAX_HISTORY = 64

/** What a bucket was made with; a limit that is not set is undefined. */
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

/** Fills in the defaults; `RangeError` for a value no server accepts. `storage` and `replicas` are only kept. */
export function bucketSettings(config: StoreConfig): BucketSettings {
  const history = config.history ?? 1
  if (!Number.isInteger(history) || history < 1 || history > MAX_HISTORY)
    throw new RangeError(`history must be 1 to ${MAX_HISTORY}, not ${history}`)
  return {
    history,
    maxAgeMs: limit('maxAgeMs', config.maxAgeMs),
    maxBytes: limit('maxBytes', config.maxBytes),
    maxValueBytes: limit('maxValueBytes', config.maxValueBytes),
    storage: config.storage ?? 'memory',
    replicas: limit('replicas', config.replicas) ?? 1,
    discard: config.discard ?? 'new',
    markerTtlMs: limit('markerTtlMs', config.markerTtlMs),
  }
}

/** The settings that were asked for and are otherwise. */
export function settingDrift(wanted: StoreConfig, found: BucketSettings): readonly SettingDrift[] {
  const drift: SettingDrift[] = []
  for (const setting of Object.keys(found) as (keyof BucketSettings)[]) {
    const value = wanted[setting]
    if (value !== undefined && value !== found[setting])
      drift.push({ setting, wanted: value, found: found[setting] })
  }
  return drift
}

/** Whether a current value can vanish without anybody writing a delete. */
export function evictsCurrentValues(settings: BucketSettings): boolean {
  return (
    settings.maxAgeMs !== undefined ||
    settings.markerTtlMs !== undefined ||
    (settings.discard === 'old' && settings.maxBytes !== undefined)
  )
}

/** The age at which messages leave, where nothing else makes a current value vanish. */
export function evictsAfterMs({ maxAgeMs, ...others }: BucketSettings): number | undefined {
  return evictsCurrentValues({ ...others, maxAgeMs: undefined }) ? undefined : maxAgeMs
}

function limit(name: string, value: number | undefined): number | undefined {
  if (value !== undefined && (!Number.isSafeInteger(value) || value < 1))
    throw new RangeError(`${name} must be a whole number above 0, not ${value}`)
  return value
}
