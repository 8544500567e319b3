import type { StoreConfig } from '@slip/kv-core'
import type { OptionSpecs, ParsedOptions } from '../command/command.ts'
import { durationMs, oneOf, sizeBytes, wholeNumber } from '../command/units.ts'
import { UsageError } from '../output/usage-error.ts'

export const BUCKET_OPTIONS: OptionSpecs = {
  history: { value: 'N', help: 'revisions kept of a key, 1 to 64; default 1' },
  'max-age': { value: 'DURATION', help: 'how long a write is kept, at least 100ms; default for ever' },
  'max-bytes': { value: 'SIZE', help: 'limit of the whole bucket; default none' },
  'max-value': { value: 'SIZE', help: 'limit of one value; default none' },
  discard: { value: 'old|new', help: 'what a full bucket does: evict the oldest, or refuse; default new' },
  replicas: { value: 'N', help: 'copies in a cluster, 1 to 5; default 1' },
  storage: { value: 'file|memory', help: 'default file' },
  'marker-ttl': {
    value: 'DURATION',
    help: 'how long the marker of an expired key stays, in whole seconds; switches --ttl on (server 2.11)',
  },
}

/** What a server's signed 32-bit and 64-bit fields can hold. */
const MOST_VALUE_BYTES = 2 ** 31 - 1
const LONGEST_AGE = '106751d'

const READERS: {
  readonly [K in keyof StoreConfig]-?: readonly [
    string,
    (text: string, option: string) => NonNullable<StoreConfig[K]>,
  ]
} = {
  history: ['history', (text, option) => wholeNumber(text, option, 1, 64)],
  maxAgeMs: ['max-age', (text, option) => durationMs(text, option, { least: '100ms', most: LONGEST_AGE })],
  maxBytes: ['max-bytes', (text, option) => sizeBytes(text, option)],
  maxValueBytes: ['max-value', (text, option) => sizeBytes(text, option, MOST_VALUE_BYTES)],
  discard: ['discard', (text, option) => oneOf(text, option, ['old', 'new'])],
  replicas: ['replicas', (text, option) => wholeNumber(text, option, 1, 5)],
  storage: ['storage', (text, option) => oneOf(text, option, ['file', 'memory'])],
  markerTtlMs: ['marker-ttl', wholeSecondsMs],
}

function wholeSecondsMs(text: string, option: string): number {
  const ms = durationMs(text, option, { least: '1s', most: LONGEST_AGE })
  if (ms % 1_000 !== 0) throw new UsageError(`--${option} '${text}' is not a number of whole seconds`)
  return ms
}

/** Only what was given: what is left out stays the server's default. */
export function bucketConfig(options: ParsedOptions): StoreConfig {
  const given = Object.entries(READERS).flatMap(([setting, [option, read]]) => {
    const text = options.text(option)
    return text === undefined ? [] : [[setting, read(text, option)]]
  })
  return Object.fromEntries(given) as StoreConfig
}
