import type { OptionSpecs, ParsedOptions } from '../command/command.ts'
import { durationMs, optional } from '../command/units.ts'

export const LOCK_OPTIONS: OptionSpecs = {
  'wait-lock': { value: 'DURATION', help: 'wait so long for another writer to let go; default not at all' },
}

export function waitLockMs(options: ParsedOptions): number | undefined {
  return optional(options.text('wait-lock'), (text) => durationMs(text, 'wait-lock'))
}
