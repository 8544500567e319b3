import { KvError, type SettingDrift, type StoreConfig, type WaitOptions } from '@slip/kv-core'

import { refusalCode, STREAM_NAME_IN_USE } from '../errors.ts'
import type { JetStreamApi } from '../jetstream-api.ts'
import { newStream, settingDrift, settingsOf, streamName, type StreamConfig } from './stream-config.ts'

/** What `STREAM.INFO` and `STREAM.CREATE` answer. */
export interface StreamInfo {
  readonly created: string
  readonly config: StreamConfig
  readonly state: {
    readonly bytes: number
    readonly first_seq: number
    readonly last_seq: number
    readonly num_subjects?: number
  }
}

export interface OpenedBucket {
  readonly info: StreamInfo
  readonly drift: readonly SettingDrift[]
}

/** KvError `BucketNotFound` and those of a request. */
export async function streamInfo(
  api: JetStreamApi,
  bucket: string,
  options?: WaitOptions,
): Promise<StreamInfo> {
  return (await api.request(`STREAM.INFO.${streamName(bucket)}`, undefined, options)) as StreamInfo
}

/**
 * Opens a bucket, and creates it first when `config` is given and there is none. KvError
 * `BucketNotFound`, `QuotaExceeded` (a limit of the account), `Unsupported` (a setting the server does
 * not know or allow), and those of a request; `RangeError` for a setting no server accepts.
 */
export async function openBucket(
  api: JetStreamApi,
  bucket: string,
  config: StoreConfig | undefined,
  options: WaitOptions & { readonly serverVersion: string | undefined },
): Promise<OpenedBucket> {
  const stream = config === undefined ? undefined : newStream(bucket, config)
  try {
    const info = await streamInfo(api, bucket, options)
    return { info, drift: settingDrift(config ?? {}, settingsOf(info.config)) }
  } catch (error) {
    if (config === undefined || !KvError.is(error) || error.code !== 'BucketNotFound') throw error
  }
  checkServer(config, options.serverVersion)
  const info = await create(api, bucket, stream!, options)
  const drift = settingDrift(config, settingsOf(info.config))
  if (drift.some(({ setting }) => setting === 'markerTtlMs'))
    throw new KvError(
      'Unsupported',
      `bucket ${bucket} was created without markerTtlMs, which its server does not know (2.11 does)`,
    )
  return { info, drift }
}

async function create(
  api: JetStreamApi,
  bucket: string,
  stream: object,
  options: WaitOptions,
): Promise<StreamInfo> {
  try {
    return (await api.request(`STREAM.CREATE.${streamName(bucket)}`, stream, options)) as StreamInfo
  } catch (error) {
    // Somebody else was faster, with other settings: it exists now, and they are its drift.
    if (refusalCode(error) === STREAM_NAME_IN_USE) return await streamInfo(api, bucket, options)
    throw error
  }
}

/** A server before 2.11 takes the fields of message TTLs without a word, and drops them. */
function checkServer({ markerTtlMs }: StoreConfig, version: string | undefined): void {
  if (markerTtlMs === undefined || version === undefined || knowsMessageTtl(version)) return
  throw new KvError('Unsupported', `markerTtlMs needs nats-server 2.11 or later, this is ${version}`)
}

/** Whether a server of this version has message TTLs and markers. */
export function knowsMessageTtl(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map((part) => Number.parseInt(part, 10))
  return major > 2 || (major === 2 && minor >= 11)
}
