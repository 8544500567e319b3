import type { Protocol } from '@slip/kv-core'

/** One decision, as a sentence that a table can be asked to keep. */
export interface UnitCheck {
  readonly of: keyof Protocol
  readonly name: string
  readonly holds: (rules: Protocol) => boolean
}
