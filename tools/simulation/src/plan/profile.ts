import type { BatchConfig, StoreConfig, WatchScope } from '@slip/kv-core'
import type { CompactionPolicy } from '@slip/store-applog'
import type { DiskCall, DiskFaults } from '../disk/disk-faults.ts'
import type { WireFaults } from '../wire/wire-faults.ts'
import type { Random } from '../world/random.ts'
import type { Pace } from '../world/scheduler.ts'

export interface FollowerProfile {
  readonly scope: WatchScope
  readonly emptyValues: 'tombstone' | 'keep'
  readonly auditIntervalMs: number
  readonly staleAfterMs: number
  readonly retryBudgetMs: number
  readonly batch: Required<BatchConfig>
  readonly durability: 'os' | 'batch' | { readonly intervalMs: number }
  readonly compact: CompactionPolicy
  /** Longer values are skipped. */
  readonly maxValueBytes: number
}

/** What keeps the fold. */
export const STORES = ['log', 'lmdb'] as const
export type StoreKind = (typeof STORES)[number]

/** One world in so many has its fold in LMDB, whose threads and files are real and take real time. */
const LMDB_EVERY = 40

/** How the caller's own `apply` behaves. */
export interface ApplyFaults {
  readonly fails: number
  readonly slow: number
  readonly slowMs: number
}

/** What kind of world a seed makes. */
export interface Profile {
  readonly store: StoreKind
  /** How much of a fold in LMDB is read before it is opened. */
  readonly check: 'head' | 'structure' | 'records'
  readonly keys: readonly string[]
  readonly bucket: StoreConfig
  readonly follower: FollowerProfile
  readonly wire: WireFaults
  readonly disk: DiskFaults
  readonly apply: ApplyFaults
  readonly pace: Pace
  /** How often other nodes publish copies of the bucket, and for how many missed revisions the follower takes one. */
  readonly artifacts: { readonly everyMs: number; readonly behind: number } | undefined
}

/** Which groups of faults a world can be had without: a failing seed is made smaller by taking them away. */
export const FAULT_GROUPS = ['wire', 'disk', 'apply', 'pace'] as const
export type FaultGroup = (typeof FAULT_GROUPS)[number]

const PREFIXES = ['a.', 'b.', 'c.', 'd.x.'] as const

/** `ofStore` decides only what belongs to the store, which is `wanted` or one of them. */
export function profileOf(random: Random, ofStore: Random, wanted: StoreKind | undefined): Profile {
  const keys = keysOf(random)
  const store = ofStore.below(LMDB_EVERY) === 0 ? 'lmdb' : 'log'
  const check = ofStore.pick(['head', 'head', 'structure', 'records'] as const)
  const artifacts = ofStore.chance(0.4)
    ? { everyMs: ofStore.pick([5_000, 60_000, 600_000]), behind: ofStore.pick([1, 1, 2, 5]) }
    : undefined
  return {
    store: wanted ?? store,
    check,
    keys,
    bucket: bucketOf(random),
    follower: followerOf(random),
    wire: wireOf(random),
    disk: diskOf(random),
    apply: random.chance(0.3)
      ? { fails: rare(random, 0.1), slow: rare(random, 0.1), slowMs: random.between(10, 8_000) }
      : { fails: 0, slow: 0, slowMs: 0 },
    pace: {
      stepMs: 0.01,
      stallChance: rare(random, 0.001),
      mostStallMs: random.pick([20, 200, 1_000]),
    },
    artifacts,
  }
}

function keysOf(random: Random): readonly string[] {
  const count = random.pick([1, 2, 3, 5, 8, 13, 21])
  return Array.from({ length: count }, (_, i) => `${random.pick(PREFIXES)}k${i}`)
}

function bucketOf(random: Random): StoreConfig {
  const config: { -readonly [K in keyof StoreConfig]: StoreConfig[K] } = {}
  if (random.chance(0.15)) config.history = random.between(2, 5)
  if (random.chance(0.2)) config.markerTtlMs = random.pick([1_000, 10_000, 600_000])
  if (random.chance(0.15)) config.maxAgeMs = random.pick([2_000, 30_000, 3_600_000])
  if (random.chance(0.15)) {
    config.maxBytes = random.pick([300, 1_500, 6_000])
    config.discard = random.pick(['old', 'old', 'new'])
  }
  return config
}

function followerOf(random: Random): FollowerProfile {
  return {
    scope: random.pick<WatchScope>([
      'all',
      'all',
      { prefix: 'a.' },
      { prefixes: ['a.', 'c.'] },
      { prefixes: ['b.k', 'd.x.'] },
    ]),
    emptyValues: random.pick(['tombstone', 'tombstone', 'keep']),
    auditIntervalMs: random.pick([1_000, 2_000, 5_000, 30_000]),
    staleAfterMs: random.pick([1_500, 5_000, 5_000, 12_000]),
    retryBudgetMs: random.pick([2_000, 30_000, 30_000]),
    batch: {
      windowMs: random.pick([0, 10, 10, 300]),
      maxCount: random.pick([1, 3, 1024]),
      maxBytes: random.pick([64, 4 * 1024 * 1024]),
    },
    durability: random.pick<FollowerProfile['durability']>(['os', 'os', 'batch', { intervalMs: 500 }]),
    compact: random.pick<CompactionPolicy>([
      false,
      { minBytes: 500, garbageShare: 0.3 },
      { minBytes: 4_000, garbageShare: 0.5 },
    ]),
    maxValueBytes: random.chance(0.2) ? random.pick([40, 200]) : Infinity,
  }
}

/** Most worlds have none of a fault, some a little, few a lot. */
function rare(random: Random, most: number): number {
  return random.chance(0.6) ? 0 : most * random.fraction() ** 2
}

function wireOf(random: Random): WireFaults {
  return {
    latencyMs: random.pick([0.1, 1, 20, 200]),
    late: rare(random, 0.02),
    refuses: rare(random, 0.5),
    hangs: rare(random, 0.2),
    breaks: rare(random, 0.3),
    silence: rare(random, 0.1),
    duplicates: rare(random, 0.1),
    stale: rare(random, 0.3),
    untyped: rare(random, 1),
    deaf: rare(random, 1),
  }
}

const CALLS: readonly DiskCall[] = [
  'open',
  'read',
  'write',
  'sync',
  'truncate',
  'close',
  'stat',
  'rename',
  'link',
  'unlink',
  'syncDirectory',
]

function diskOf(random: Random): DiskFaults {
  const faulty = random.chance(0.5)
  const fails: Partial<Record<DiskCall, number>> = {}
  if (faulty) for (const call of CALLS) fails[call] = rare(random, 0.2)
  return {
    fails,
    syncDrops: random.pick([0, 0.5, 1]),
    shortWrite: rare(random, 0.5),
    shortRead: rare(random, 0.5),
    latencyMs: random.pick([0.01, 0.2, 5]),
    slow: rare(random, 0.01),
  }
}
