import type { KvUpdate } from '../entry.ts'
import type { ApplyPhase } from '../watch-applied.ts'

/** One update after its commit, in commit order. */
export type Change = KvUpdate & { readonly phase: ApplyPhase }

export interface ChangesOptions {
  /** A byte prefix. @default '' */
  readonly prefix?: string
  /** How far a reader may fall behind, in changes. @default 10_000 */
  readonly buffer?: number
  readonly signal?: AbortSignal
}
