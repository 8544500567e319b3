import type { Protocol } from '@slip/kv-core'
import type { Mutant } from './mutant.ts'

const mutant = (name: string, beginsAtNewest: Protocol['beginsAtNewest']): Mutant => ({
  name: `beginsAtNewest: ${name}`,
  changes: { beginsAtNewest },
})

/** Mistakes one could make with transactions that were set back. */
export const OPENER_MUTANTS: readonly Mutant[] = [
  mutant('always', () => true),
  mutant('never', () => false),
  mutant('the newest commit itself', ({ transaction, newest }) => transaction === newest),
  mutant('not above the next', ({ transaction, newest }) => transaction <= newest + 1),
  mutant('not below the next', ({ transaction, newest }) => transaction >= newest + 1),
  mutant('set back by one is good enough', ({ transaction, newest }) => transaction >= newest),
]
