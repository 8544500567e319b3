import { setTimeout as wait } from 'node:timers/promises'
import { scopePrefixes, type FollowStatus } from '@slip/kv-core'
import type { NatsConnectionConfig } from '@slip/nats'
import { SCOPES, type Situation } from './cell.ts'
import type { Fault } from './faults.ts'
import { AUDIT_INTERVAL_MS, FollowedFold, type FollowedOptions, type Hold } from './followed-fold.ts'
import { differences } from './holdings.ts'
import type { Holding, MatrixBucket } from './matrix-bucket.ts'
import { advance, DECOY, seed, writeOn } from './workload.ts'

/** A follower has to be right, or to say what is wrong, so soon after it can see the bucket. */
export const BUDGET_MS: number = AUDIT_INTERVAL_MS + 1_000
const SEES_WITHIN_MS = 20_000
const LOOK_EVERY_MS = 10
const REACHED_WITHIN_MS = 15_000
const VERIFIED_WITHIN_MS = 2 * BUDGET_MS
/** How long a follower that is busy with it is watched beyond the budget, to tell late from wrong. */
const LATE_MS = 4 * BUDGET_MS

/** What a cell came to. */
export interface Observation {
  /** Live, and what the fold holds and what `apply` made both equal the bucket, also after one more audit. */
  readonly right: boolean
  /** Why it rebuilt its fold since the fault, in order. */
  readonly repairs: readonly string[]
  /** From seeing the bucket to the first sign that something is wrong; undefined when there was none. */
  readonly detectedMs: number | undefined
  /** From seeing the bucket to being right. */
  readonly rightMs: number | undefined
  readonly status: FollowStatus
  /** Whether `verifiedThrough` is the bucket's last revision. */
  readonly verified: boolean
  readonly differences: readonly string[]
  /** Its states, with milliseconds since it could see the bucket. */
  readonly history: readonly string[]
}

export interface CellParts {
  readonly bucket: MatrixBucket
  readonly fault: Fault
  readonly serverVersion: string
  readonly directory: string
  /** How the follower connects. */
  readonly connection: NatsConnectionConfig
  readonly follow?: FollowedOptions['follow']
  /**
   * From when on the follower can see the bucket: once it attached to it again, or as soon as the fault is
   * over, so that coming back counts too. @default 'attached'
   */
  readonly sees?: 'attached' | 'faultOver'
  /** What the fold has to hold in the end: what the bucket does, or all that was written to it and not deleted. */
  readonly owed: 'listed' | 'written'
}

/** One cell, step by step: the steps of many cells can be kept in step where a fault strikes a whole server. */
export class CellRun implements AsyncDisposable {
  readonly #situation: Situation
  readonly #parts: CellParts
  readonly #followed: FollowedFold
  readonly #prefixes: readonly string[]
  readonly #advances: string[] = []
  #seeded = 0n
  #unsaid: ReadonlySet<string> = new Set()
  #faultAtMs = 0
  #seenFromMs = 0

  constructor(situation: Situation, parts: CellParts) {
    this.#situation = situation
    this.#parts = parts
    const scope = SCOPES[situation.scope]
    this.#prefixes = scopePrefixes(scope)
    this.#followed = new FollowedFold({
      bucket: parts.bucket.name,
      directory: parts.directory,
      scope,
      connection: parts.connection,
      store: situation.store,
      // Small batches, so that there is a place to stand still in the middle of a few updates.
      follow: { batch: { maxCount: 4, windowMs: 1 }, whenEvicted: situation.policy, ...parts.follow },
    })
  }

  get followed(): FollowedFold {
    return this.#followed
  }

  async seed(): Promise<void> {
    const { bucket, fault } = this.#parts
    await bucket.create(fault.settings)
    this.#seeded = await seed(bucket)
    await fault.prepare?.(bucket)
  }

  /** Brings the follower where the cell wants it. */
  async reachState(): Promise<void> {
    const { bucket } = this.#parts
    if (this.#situation.state === 'hydrating') {
      await this.#advance('first')
      await this.#startHeld({ phase: 'initial', above: this.#seeded + 3n })
      return
    }
    await this.#followed.start()
    await this.#followed.follower.caughtUp({ timeoutMs: REACHED_WITHIN_MS })
    const last = await this.#advance('first')
    await this.#followed.follower.waitFor(last, { timeoutMs: REACHED_WITHIN_MS })
    switch (this.#situation.state) {
      case 'live':
        return
      case 'stopped':
        await this.#followed.stop()
        if (this.#situation.after === 'writes') await this.#advance('second')
        return
      case 'catchingUp':
        await this.#followed.stop()
        await this.#advance('second')
        return await this.#startHeld({ phase: 'live', above: last + 3n })
      default:
        this.#followed.holdAt({ phase: 'resync', above: this.#seeded + 3n })
        await bucket.purge(DECOY)
        await this.#followed.held()
    }
  }

  /** Causes the fault, and writes on where the cell says so. */
  async strike(): Promise<void> {
    this.#faultAtMs = performance.now()
    const { bucket, fault, serverVersion } = this.#parts
    await fault.cause(bucket, {
      serverVersion,
      advances: this.#advances,
    })
    if (this.#situation.after === 'writes') await writeOn(bucket)
    this.#seenFromMs = performance.now()
  }

  /** From here on the follower can see what happened. */
  async release(): Promise<void> {
    const { state } = this.#situation
    if (state !== 'live') this.#seenFromMs = performance.now()
    if (state === 'stopped') await this.#followed.start()
    this.#followed.letGo()
  }

  async observe(): Promise<Observation> {
    const { bucket, owed } = this.#parts
    const listing = owed === 'written' ? bucket.written(this.#prefixes) : await bucket.listing(this.#prefixes)
    this.#unsaid = await bucket.contradictions()
    const { lastSequence } = await bucket.facts()
    if (this.#parts.sees !== 'faultOver') await this.#untilSeen()
    let rightAtMs: number | undefined
    for (;;) {
      const nowMs = performance.now()
      if (this.#wrong(listing).length === 0) {
        rightAtMs = nowMs
        break
      }
      const forMs = nowMs - this.#seenFromMs
      if (forMs > (this.#isContent(lastSequence) ? BUDGET_MS : LATE_MS)) break
      await wait(LOOK_EVERY_MS)
    }
    if (rightAtMs !== undefined) await this.#untilVerified(listing, lastSequence)
    const wrong = this.#wrong(listing)
    const { status } = this.#followed
    return {
      right: rightAtMs !== undefined && wrong.length === 0,
      repairs: this.#repairs().map(({ reason }) => reason),
      detectedMs: this.#sinceSeen(this.#repairs()[0]?.atMs),
      rightMs: this.#sinceSeen(rightAtMs),
      status,
      verified: status.verifiedThrough === lastSequence,
      differences: wrong,
      history: this.#followed.events.map(
        ({ atMs, state, reason }) =>
          `${Math.round(atMs - this.#seenFromMs)} ${state}${reason === undefined ? '' : ` ${reason}`}`,
      ),
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#followed[Symbol.asyncDispose]()
    await this.#parts.bucket.destroy().catch(() => undefined)
  }

  async #advance(name: string): Promise<bigint> {
    this.#advances.push(name)
    return await advance(this.#parts.bucket, name)
  }

  async #startHeld(hold: Hold): Promise<void> {
    await this.#followed.start(hold)
    await this.#followed.held()
  }

  /** A follower that was away sees the bucket when it has attached to it. */
  async #untilSeen(): Promise<void> {
    const deadline = performance.now() + SEES_WITHIN_MS
    const from = this.#seenFromMs
    for (;;) {
      const seen = ['catchingUp', 'resyncing', 'live', 'failed'].includes(this.#followed.status.state)
      if (seen || performance.now() > deadline) break
      await wait(LOOK_EVERY_MS)
    }
    const attached = this.#followed.events.find(
      ({ atMs, state }) => atMs >= from && !['opening', 'connecting', 'stale'].includes(state),
    )
    const away = this.#followed.events.some(
      ({ atMs, state }) => atMs >= from && ['opening', 'connecting'].includes(state),
    )
    if (away && attached !== undefined) this.#seenFromMs = attached.atMs
  }

  /** Whether it has nothing left to do, by its own account. */
  #isContent(lastSequence: bigint): boolean {
    const { state, verifiedThrough, unverified } = this.#followed.status
    if (state === 'failed') return true
    return state === 'live' && (verifiedThrough === lastSequence || unverified.includes('count'))
  }

  /** Gives it the time for another audit, and for one that covers the last revision. */
  async #untilVerified(listing: Holding, lastSequence: bigint): Promise<void> {
    const until = performance.now() + VERIFIED_WITHIN_MS
    await wait(AUDIT_INTERVAL_MS + 100)
    const done = (): boolean =>
      this.#followed.status.verifiedThrough === lastSequence && this.#wrong(listing).length === 0
    while (performance.now() < until && !done()) await wait(LOOK_EVERY_MS)
  }

  #wrong(listing: Holding): readonly string[] {
    const { state } = this.#followed.status
    if (state !== 'live') return [`the state is ${state}`]
    return [
      ...differences('the fold', this.#followed.fold(), listing, this.#unsaid),
      ...differences('apply', this.#followed.handed, listing, this.#unsaid),
    ]
  }

  #repairs(): { readonly atMs: number; readonly reason: string }[] {
    return this.#followed.events.flatMap(({ atMs, state, reason }) =>
      state === 'resyncing' && atMs >= this.#faultAtMs ? [{ atMs, reason: reason ?? 'no reason' }] : [],
    )
  }

  #sinceSeen(atMs: number | undefined): number | undefined {
    return atMs === undefined ? undefined : Math.max(0, atMs - this.#seenFromMs)
  }
}
