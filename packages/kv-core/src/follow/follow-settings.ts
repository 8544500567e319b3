import { retryBudget } from '../apply/flusher.ts'
import { type BatchLimits, batchLimits } from '../batcher.ts'
import { scopePrefixes, type WatchScope } from '../scope.ts'
import type { SnapshotStore } from '../store.ts'
import type { FollowOptions } from './options.ts'

/** The options of `follow`, checked and filled in. */
export interface FollowSettings {
  readonly scope: WatchScope
  readonly prefixes: readonly string[]
  readonly limits: BatchLimits
  readonly whenEvicted: 'drop' | 'keep'
  readonly repair: 'auto' | 'relist' | 'restore' | 'none'
  readonly emptyValues: 'tombstone' | 'keep'
  readonly oversize: 'skip' | 'fail'
  readonly onForeignFold: 'refuse' | 'rebuild'
  readonly auditIntervalMs: number | false
  readonly staleAfterMs: number
  /** undefined: as the protocol has it. */
  readonly bootstrapBehind: number | false | undefined
}

/** RangeError or TypeError for what cannot be meant. */
export function followSettings<S extends SnapshotStore, T>(options: FollowOptions<S, T>): FollowSettings {
  const { scope = 'all', auditIntervalMs = 60_000, staleAfterMs = 5_000, bootstrapBehind } = options
  retryBudget(options)
  if (auditIntervalMs !== false && !(auditIntervalMs > 0))
    throw new RangeError(`auditIntervalMs must be above 0 or false, not ${auditIntervalMs}`)
  if (!(staleAfterMs > 0)) throw new RangeError(`staleAfterMs must be above 0, not ${staleAfterMs}`)
  if (typeof bootstrapBehind === 'number' && !(Number.isSafeInteger(bootstrapBehind) && bootstrapBehind > 0))
    throw new RangeError(`bootstrapBehind must be a whole number above 0 or false, not ${bootstrapBehind}`)
  return {
    scope,
    prefixes: scopePrefixes(scope),
    limits: batchLimits(options.batch),
    whenEvicted: options.whenEvicted ?? 'drop',
    repair: options.repair ?? 'auto',
    emptyValues: options.emptyValues ?? 'tombstone',
    oversize: options.oversize ?? 'skip',
    onForeignFold: options.onForeignFold ?? 'refuse',
    auditIntervalMs,
    staleAfterMs,
    bootstrapBehind,
  }
}
