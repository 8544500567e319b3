import type { RangeOptions } from '@slip/kv-core'
import type { OptionSpecs, ParsedOptions } from '../command/command.ts'
import { optional, wholeNumber } from '../command/units.ts'

export const RANGE_OPTIONS: OptionSpecs = {
  gte: { value: 'KEY', help: 'from this key on, by its bytes' },
  lt: { value: 'KEY', help: 'up to but without this key' },
  reverse: { help: 'from the end' },
  limit: { value: 'N', help: 'at most so many' },
}

export function rangeOptions(options: ParsedOptions): RangeOptions {
  const gte = options.text('gte')
  const lt = options.text('lt')
  const limit = optional(options.text('limit'), (text) => wholeNumber(text, 'limit'))
  return {
    ...(gte === undefined ? {} : { gte }),
    ...(lt === undefined ? {} : { lt }),
    ...(limit === undefined ? {} : { limit }),
    reverse: options.on('reverse'),
  }
}
