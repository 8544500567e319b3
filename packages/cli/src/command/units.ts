import { UsageError } from '../output/usage-error.ts'

const DURATION_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}
const SIZE_BYTES: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KiB: 1 << 10,
  MiB: 1 << 20,
  GiB: 1 << 30,
}

/** The longest a timer of Node waits. */
export const LONGEST_TIMER = '24d'

/**
 * `500ms`, `2s`, `1.5h`, `7d` in milliseconds; UsageError for anything else, and outside `least` (default
 * `0ms`) to `most`.
 */
export function durationMs(
  text: string,
  option: string,
  { least = '0ms', most }: { readonly least?: string; readonly most?: string } = {},
): number {
  const ms = parseDuration(text)
  if (ms === undefined)
    throw new UsageError(`--${option} '${text}' is not a duration like 500ms, 2s, 5m, 1h or 7d`)
  if (ms < parseDuration(least)!) throw new UsageError(`--${option} '${text}' is less than ${least}`)
  if (most !== undefined && ms > parseDuration(most)!)
    throw new UsageError(`--${option} '${text}' is more than ${most}`)
  return ms
}

function parseDuration(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text)
  return match === null ? undefined : Math.round(Number(match[1]) * DURATION_MS[match[2]!]!)
}

/** `1048576`, `10MiB`, `1GB` in bytes, from 1 to `most`; UsageError for anything else. */
export function sizeBytes(text: string, option: string, most: number = Number.MAX_SAFE_INTEGER): number {
  const match = /^(\d+)(B|KB|MB|GB|KiB|MiB|GiB|)$/.exec(text)
  if (match === null) throw new UsageError(`--${option} '${text}' is not a size like 65536, 64KiB or 10MB`)
  const bytes = Number(match[1]) * SIZE_BYTES[match[2]!]!
  if (!(bytes >= 1 && bytes <= most))
    throw new UsageError(`--${option} '${text}' is not from 1 to ${most} bytes`)
  return bytes
}

/** A whole number within bounds; UsageError otherwise. */
export function wholeNumber(
  text: string,
  option: string,
  least = 0,
  most: number = Number.MAX_SAFE_INTEGER,
): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (!(value >= least && value <= most))
    throw new UsageError(`--${option} '${text}' is not a whole number from ${least} to ${most}`)
  return value
}

/** One of the listed words; UsageError otherwise. */
export function oneOf<const T extends string>(text: string, option: string, words: readonly T[]): T {
  const found = words.find((word) => word === text)
  if (found === undefined) throw new UsageError(`--${option} '${text}' is not one of ${words.join(', ')}`)
  return found
}

/** Applies `read` when the option was given. */
export function optional<G, T>(given: G | undefined, read: (given: G) => T): T | undefined {
  return given === undefined ? undefined : read(given)
}
