import { setTimeout as wait } from 'node:timers/promises'
import {
  follow,
  type ApplyPhase,
  type Follower,
  type FollowOptions,
  type FollowState,
  type KvUpdate,
} from '@slip/kv-core'
import { expect } from 'vitest'
import { MapLocation, type MapStore } from './map-store.ts'
import { TestBucket } from './test-bucket.ts'

const WITHIN = { timeoutMs: 5_000 }

export interface Applied {
  readonly key: string
  readonly operation: KvUpdate['operation']
  readonly reason: string | undefined
  readonly revision: bigint | undefined
  readonly phase: ApplyPhase
}

/** A follower of a test bucket, with what it applied and which states it went through. */
export class FollowRun implements AsyncDisposable {
  readonly bucket: TestBucket
  readonly location: MapLocation
  readonly applied: Applied[] = []
  readonly states: FollowState[] = []
  readonly reasons: string[] = []
  readonly positions: (bigint | undefined)[] = []
  follower!: Follower<MapStore>

  private constructor(bucket: TestBucket, location: MapLocation) {
    this.bucket = bucket
    this.location = location
  }

  static async start(
    options: Partial<FollowOptions<MapStore>> & { bucket?: TestBucket; location?: MapLocation } = {},
  ): Promise<FollowRun> {
    const { bucket = new TestBucket(), location = new MapLocation(), ...rest } = options
    const run = new FollowRun(bucket, location)
    run.follower = await follow<MapStore>({
      source: bucket.opener,
      store: location,
      apply: (batch, { phase }) => {
        for (const update of batch) run.applied.push({ ...toApplied(update), phase })
      },
      onApplied: (cursor) => void run.positions.push(cursor.revision),
      ...rest,
    })
    run.follower.onStatus(({ state, reason }) => {
      run.states.push(state)
      if (reason !== undefined) run.reasons.push(reason)
    })
    return run
  }

  caughtUp(): Promise<void> {
    return this.follower.caughtUp(WITHIN)
  }

  waitFor(revision: bigint): Promise<void> {
    return this.follower.waitFor(revision, WITHIN)
  }

  async until(reached: () => boolean, ms = 5_000): Promise<void> {
    const end = performance.now() + ms
    while (!reached() && performance.now() < end) await wait(2)
    expect(reached(), `${reached.toString()} in ${this.follower.status.state}`).toBe(true)
  }

  /** An audit succeeds, a moment after the follower is live. */
  verified(through: bigint): Promise<void> {
    return this.until(() => this.follower.status.verifiedThrough === through)
  }

  /** What ended the follower. */
  async failure(): Promise<unknown> {
    try {
      await this.follower.closed
    } catch (error) {
      return error
    }
    throw new Error('the follower ended without an error')
  }

  get keys(): string[] {
    return [...this.follower.keys()]
  }

  /** Each key with what happened last to it in `apply`. */
  get domain(): string[] {
    const live = new Set<string>()
    for (const { key, operation } of this.applied) {
      if (operation === 'put') live.add(key)
      else live.delete(key)
    }
    return [...live].sort()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.follower.close()
  }
}

function toApplied(update: KvUpdate): Omit<Applied, 'phase'> {
  return {
    key: update.key,
    operation: update.operation,
    reason: update.operation === 'put' ? undefined : update.reason,
    revision: update.version.revision,
  }
}
