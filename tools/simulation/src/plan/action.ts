import type { StoreConfig } from '@slip/kv-core'

/** What can be done to a bucket. */
export type BucketDeed =
  | { readonly type: 'put'; readonly key: string; readonly bytes: number; readonly ttlMs?: number }
  | { readonly type: 'delete'; readonly key: string }
  | { readonly type: 'purge'; readonly key: string }
  /** Many puts, one after the other. */
  | { readonly type: 'burst'; readonly count: number; readonly gapMs: number }
  /** Messages go without a word: a purge through the stream's API, a limit, a marker that was cleaned up. */
  | { readonly type: 'purgePrefix'; readonly prefix: string }
  | { readonly type: 'removeNewest'; readonly key: string }
  | { readonly type: 'removeMarkers' }
  | { readonly type: 'evict'; readonly count: number }
  /** A limit of the bucket becomes smaller. */
  | {
      readonly type: 'tighten'
      readonly limits: Pick<StoreConfig, 'history' | 'maxAgeMs' | 'maxBytes' | 'discard'>
    }
  /** Deleted and made anew; `silent`: open watches hear nothing of it. */
  | { readonly type: 'recreate'; readonly silent: boolean }
  | { readonly type: 'backup' }
  /** The server comes back with what it had at the backup, and writes go on from there. */
  | { readonly type: 'restore'; readonly regrow: number }
  /** The server comes back without its newest writes. */
  | { readonly type: 'rollback'; readonly by: number; readonly regrow: number }

/** What can be done to the follower, its machine and its network. */
export type FollowerDeed =
  | { readonly type: 'kill'; readonly downMs: number }
  | { readonly type: 'close'; readonly downMs: number }
  | { readonly type: 'powerCut'; readonly downMs: number; readonly flipBit: boolean }
  | { readonly type: 'freeze'; readonly forMs: number }
  | { readonly type: 'suspend'; readonly forMs: number }
  | { readonly type: 'clockJump'; readonly byMs: number }
  | { readonly type: 'cutWire'; readonly forMs: number }
  | { readonly type: 'wireDown'; readonly forMs: number }
  | { readonly type: 'fillDisk'; readonly freeBytes: number; readonly forMs: number }
  | { readonly type: 'exclusive'; readonly forMs: number }
  | { readonly type: 'secondOpener' }
  | { readonly type: 'waitForLast' }
  | { readonly type: 'compact' }

export type Deed = BucketDeed | FollowerDeed

/** Something the world does at a moment of a round. `id` names it when a failing run is made smaller. */
export type Action = Deed & { readonly id: number; readonly atMs: number }

/** A storm of faults and deeds, then calm, at whose end everything has to be in step. */
export interface Round {
  readonly stormMs: number
  /** What keeps the follower away for most of a long storm, and for how long. */
  readonly absence?: { readonly id: number; readonly ms: number } | undefined
  readonly actions: readonly Action[]
  /** Done in the calm, where nothing else goes wrong: what must be noticed by the audit alone. */
  readonly inCalm: readonly Action[]
}
