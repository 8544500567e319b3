import { join } from 'node:path'
import {
  follow,
  type ApplyContext,
  type ApplyPhase,
  type Follower,
  type FollowOptions,
  type FollowState,
  type FollowStatus,
  type KvUpdate,
  type SnapshotLocation,
  type WatchScope,
} from '@slip/kv-core'
import { natsBucket, type NatsConnectionConfig } from '@slip/nats'
import { appendLog } from '@slip/store-applog'
import { lmdb } from '@slip/store-lmdb'
import type { StoreName } from './cell.ts'
import type { Held, Holding } from './matrix-bucket.ts'

/** How often a cell's follower compares its number of keys with the bucket's. */
export const AUDIT_INTERVAL_MS = 500

export interface FollowedOptions {
  readonly bucket: string
  readonly directory: string
  readonly scope: WatchScope
  readonly connection: NatsConnectionConfig
  /** @default 'append log' */
  readonly store?: StoreName
  readonly follow?:
    | Partial<Pick<FollowOptions, 'whenEvicted' | 'repair' | 'auditIntervalMs' | 'staleAfterMs' | 'batch'>>
    | undefined
}

const LOCATIONS: Readonly<Record<StoreName, (path: string) => SnapshotLocation>> = {
  'append log': (path) => appendLog({ path: `${path}.slip` }),
  LMDB: (path) => lmdb({ path: `${path}.lmdb`, durability: 'os' }),
}

/** Where a follower is to stand still: in `apply`, once a batch of this phase reached this revision. */
export interface Hold {
  readonly phase: ApplyPhase
  readonly above: bigint
}

export interface StatusEvent {
  readonly atMs: number
  readonly state: FollowState
  readonly reason: string | undefined
}

/** A follower in this process, with the state that its `apply` was given beside it. */
export class FollowedFold implements AsyncDisposable {
  /** Every change of state or reason, over all of its starts. */
  readonly events: StatusEvent[] = []
  readonly #options: FollowedOptions
  readonly #handed = new Map<string, Held>()
  #follower: Follower | undefined
  #gate: Gate | undefined

  constructor(options: FollowedOptions) {
    this.#options = options
  }

  get follower(): Follower {
    if (this.#follower === undefined) throw new Error('the follower is stopped')
    return this.#follower
  }

  get status(): FollowStatus {
    return this.follower.status
  }

  /** What its `apply` made of all it was given. */
  get handed(): Holding {
    return this.#handed
  }

  async start(hold?: Hold): Promise<void> {
    const { bucket, directory, scope, connection, store = 'append log' } = this.#options
    this.#gate = hold === undefined ? undefined : new Gate(hold)
    this.#follower = await follow({
      source: natsBucket(bucket, connection),
      store: LOCATIONS[store](join(directory, bucket)),
      scope,
      auditIntervalMs: AUDIT_INTERVAL_MS,
      ...this.#options.follow,
      apply: async (batch, context) => await this.#apply(batch, context),
    })
    const { state, reason } = this.#follower.status
    this.events.push({ atMs: performance.now(), state, reason })
    this.#follower.onStatus(({ state, reason }) =>
      this.events.push({ atMs: performance.now(), state, reason }),
    )
  }

  /** Makes a running follower stand still where `hold` says. */
  holdAt(hold: Hold): void {
    this.#gate = new Gate(hold)
  }

  /** Resolves when it stands still. */
  async held(timeoutMs = 15_000): Promise<void> {
    await this.#gate?.reached(timeoutMs)
  }

  letGo(): void {
    this.#gate?.open()
  }

  async stop(): Promise<void> {
    this.letGo()
    await this.#follower?.close()
    this.#follower = undefined
  }

  /** What a reader of the fold sees. */
  fold(): Holding {
    const seen = new Map<string, Held>()
    for (const { key, value, version } of this.follower.entries())
      seen.set(key, { value: Buffer.from(value).toString(), revision: version.revision ?? -1n })
    return seen
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop().catch(() => undefined)
  }

  async #apply(batch: readonly KvUpdate[], { phase, cursor }: ApplyContext): Promise<void> {
    await this.#gate?.pass(phase)
    for (const update of batch) {
      if (update.operation === 'put')
        this.#handed.set(update.key, {
          value: Buffer.from(update.value).toString(),
          revision: update.version.revision ?? -1n,
        })
      else this.#handed.delete(update.key)
    }
    this.#gate?.passed(phase, cursor.revision ?? 0n)
  }
}

class Gate {
  readonly #hold: Hold
  readonly #opened: Promise<void>
  readonly #stands: Promise<void>
  #open!: () => void
  #stand!: () => void
  #closed = false

  constructor(hold: Hold) {
    this.#hold = hold
    this.#opened = new Promise((resolve) => (this.#open = resolve))
    this.#stands = new Promise((resolve) => (this.#stand = resolve))
  }

  async pass(phase: ApplyPhase): Promise<void> {
    if (!this.#closed || phase !== this.#hold.phase) return
    this.#stand()
    await this.#opened
  }

  passed(phase: ApplyPhase, revision: bigint): void {
    if (phase === this.#hold.phase && revision > this.#hold.above) this.#closed = true
  }

  async reached(timeoutMs: number): Promise<void> {
    const { phase, above } = this.#hold
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      const error = new Error(`the follower was not held above ${above} in phase ${phase}`)
      timer = setTimeout(() => reject(error), timeoutMs)
    })
    try {
      await Promise.race([this.#stands, late])
    } finally {
      clearTimeout(timer)
    }
  }

  open(): void {
    this.#open()
  }
}
