import type { SettingDrift } from '@slip/kv-core'

/** How an existing bucket is otherwise than asked for; a limit that is not set is null, and not left out. */
export function driftLines(drift: readonly SettingDrift[]): readonly SettingDrift[] {
  return drift.map(({ setting, wanted, found }) => ({ setting, wanted, found: found ?? null }))
}

/** The same for people. */
export function driftText(drift: readonly SettingDrift[]): string {
  return driftLines(drift)
    .map(({ setting, wanted, found }) => `${setting} is ${plain(found)}, not ${plain(wanted)}`)
    .join('; ')
}

function plain(value: unknown): string {
  if (value === null) return 'not set'
  return typeof value === 'string' ? value : JSON.stringify(value)
}
