import {
  follow,
  KvError,
  type ApplyContext,
  type Follower,
  type KvUpdate,
  type SnapshotLocation,
} from '@slip/kv-core'
import type { SimBucket } from '../bucket/sim-bucket.ts'
import { ApplyCheck } from '../oracle/apply-check.ts'
import { contentOf } from '../oracle/fold-content.ts'
import type { Ledger } from '../oracle/ledger.ts'
import { ReaderCheck } from '../oracle/reader-check.ts'
import { StatusCheck, untypedEnd } from '../oracle/status-check.ts'
import type { Verdict } from '../oracle/verdict.ts'
import type { WriterWatch } from '../oracle/writer-watch.ts'
import type { ApplyFaults, Profile } from '../plan/profile.ts'
import type { Random } from '../world/random.ts'
import type { SimProcess } from '../world/sim-process.ts'
import type { World } from '../world/world.ts'
import type { Deliveries, LastDelivery } from '../wire/wire-session.ts'
import { wireSource } from '../wire/wire-source.ts'
import type { Wire } from '../wire/wire.ts'
import { ChangesCheck } from '../oracle/changes-check.ts'
import type { ArtifactShelf } from './artifact-shelf.ts'
import { observedLocation, type Observation } from './observed-store.ts'

const LOOK_EVERY_MS = 1_000

/** What every life of a follower is made of. */
export interface Surroundings {
  readonly world: World
  readonly wire: Wire
  readonly bucket: SimBucket
  readonly profile: Profile
  readonly ledger: Ledger
  readonly verdict: Verdict
  readonly writers: WriterWatch
  /** Where the fold is. */
  readonly location: SnapshotLocation
  readonly applyRandom: Random
  applyFaults: ApplyFaults
  /** The fold changed. */
  readonly committed: () => void
  /** What other nodes publish; undefined where they do not. */
  readonly shelf: ArtifactShelf | undefined
  /** A planted bug in the store. */
  readonly plantedApply: Observation['apply']
}

/** One process that follows the bucket, from its start to its end, with everything that can be seen of it checked. */
export class FollowerLife implements Deliveries {
  readonly process: SimProcess
  last: LastDelivery | undefined
  /** When the last listing began that was answered to its end. */
  listedMs: number = -1
  follower: Follower | undefined
  /** Settles when the process is gone. */
  ended = false
  closing = false
  readonly #around: Surroundings
  readonly #onEnd: (error: unknown) => void
  #apply: ApplyCheck | undefined
  #reader: ReaderCheck | undefined
  #status: StatusCheck | undefined
  #changes: ChangesCheck | undefined

  /** `onEnd` hears of an end that nobody asked for. */
  constructor(around: Surroundings, name: string, onEnd: (error: unknown) => void) {
    this.#around = around
    this.#onEnd = onEnd
    this.process = around.world.spawn(name)
    this.process.onExit(() => {
      this.ended = true
    })
  }

  start(): void {
    this.#around.world.scheduler.post(this.process, 'completion', 'start', 0, () => void this.#run())
  }

  contact(): void {
    this.#status?.contact(this.#nowMs())
  }

  listed(beganMs: number): void {
    this.listedMs = beganMs
  }

  delivered(revision: bigint): void {
    this.#status?.delivered(Number(revision))
  }

  awake(): void {
    this.#status?.awake(this.#nowMs())
  }

  /** Asks it to end; the process is gone once that is done. */
  close(): void {
    const { follower } = this
    if (follower === undefined || this.closing) return
    this.closing = true
    this.#post('close', () => {
      follower.close().then(
        () => this.#exit(),
        (error: unknown) => {
          this.#judgeEnd(error)
          this.#exit()
        },
      )
    })
  }

  /** What `apply` and the readers of changes know less or more than the fold, once everything is in step. */
  difference(): string | undefined {
    const fold = contentOf(this.follower!.store)
    const applied = this.#apply?.difference(fold)
    if (applied !== undefined) return `apply was given something else: ${applied}`
    const changed = this.#changes?.difference(fold)
    return changed === undefined ? undefined : `changes() gave something else: ${changed}`
  }

  async #run(): Promise<void> {
    const { verdict, profile, shelf } = this.#around
    try {
      const follower = await follow({
        source: wireSource(this.#around.wire, this.#around.bucket, this.process, this),
        store: this.#location(),
        scope: profile.follower.scope,
        emptyValues: profile.follower.emptyValues,
        auditIntervalMs: profile.follower.auditIntervalMs,
        staleAfterMs: profile.follower.staleAfterMs,
        retryBudgetMs: profile.follower.retryBudgetMs,
        batch: profile.follower.batch,
        ...(shelf === undefined
          ? {}
          : {
              bootstrap: (into, options) => shelf.put(into, options),
              bootstrapBehind: profile.artifacts!.behind,
            }),
        apply: (batch, context) => this.#applied(batch, context),
        onApplied: (cursor) => {
          if (!cursor.equals(this.follower!.cursor))
            verdict.violated(2, 'onApplied was told a cursor the fold does not have')
        },
      })
      this.follower = follower
      this.#observe(follower)
      await follower.closed
    } catch (error) {
      this.#judgeEnd(error)
      if (!this.closing) this.#onEnd(error)
      return
    }
    if (!this.closing) verdict.violated(8, 'the follower ended without an error, and nobody asked it to')
  }

  #location(): SnapshotLocation {
    const { location, profile, ledger, verdict, writers, plantedApply } = this.#around
    const { maxValueBytes } = profile.follower
    return observedLocation(location, {
      process: this.process,
      ledger,
      verdict,
      writers,
      maxValueBytes,
      committed: () => this.#committed(),
      swapping: () => this.#reader?.swapping(),
      kept: () => this.#reader?.kept(),
      swapped: (cursor) => {
        this.#reader?.swapped()
        this.#apply?.swapped(Number(cursor.revision ?? 0n))
      },
      ...(plantedApply === undefined ? {} : { apply: plantedApply }),
    })
  }

  #observe(follower: Follower): void {
    const { verdict, profile, world } = this.#around
    const found = contentOf(follower.store)
    const cursor = Number(follower.cursor.revision ?? 0n)
    const { staleAfterMs, batch, maxValueBytes } = profile.follower
    this.#apply = new ApplyCheck(verdict, { ...batch, maxValueBytes }, found, cursor)
    this.#reader = new ReaderCheck(verdict)
    this.#status = new StatusCheck(verdict, { staleAfterMs, ...profile.pace }, this.#nowMs(), cursor)
    this.#changes = new ChangesCheck(follower)
    follower.onStatus((status) => {
      world.trace.note(`status ${status.state} ${status.reason ?? ''}`)
      verdict.count(`status: ${status.state}${status.reason === undefined ? '' : ` (${status.reason})`}`)
      if (status.state === 'resyncing') this.#reader?.announced()
      this.#look()
    })
    const lookOn = (): void => {
      this.#look()
      this.#post('look', lookOn, LOOK_EVERY_MS)
    }
    lookOn()
  }

  #look(): void {
    const { follower } = this
    if (follower === undefined || this.ended) return
    this.#status?.look(follower.status, this.#nowMs())
    try {
      this.#reader?.look(follower)
    } catch (error) {
      this.#around.verdict.count(`reads refused: ${(error as KvError).code}`)
    }
  }

  async #applied(batch: readonly KvUpdate[], context: ApplyContext): Promise<void> {
    const { applyFaults, applyRandom, world } = this.#around
    // The first batches may come before `follow` has resolved.
    if (this.#apply === undefined) await Promise.resolve()
    world.trace.note(`apply ${batch.length} to ${context.cursor.revision} ${context.phase}`)
    this.#apply!.given(batch, context)
    if (applyRandom.chance(applyFaults.slow))
      await new Promise<void>((resolve) => this.#post('slow apply', resolve, applyFaults.slowMs))
    if (applyRandom.chance(applyFaults.fails)) throw new Error('the caller cannot take it')
    this.#apply!.done(batch, context)
  }

  #committed(): void {
    this.#around.committed()
    this.#post('look', () => this.#look())
  }

  #judgeEnd(error: unknown): void {
    const { verdict, world } = this.#around
    world.trace.note(`ended: ${String((error as { code?: unknown }).code)}`)
    const why = untypedEnd(error)
    if (why !== undefined) verdict.violated(8, why)
    verdict.count(`ends: ${String((error as { code?: unknown }).code)}`)
  }

  #exit(): void {
    this.#post('exit', () => this.#around.world.kill(this.process))
  }

  #post(what: string, run: () => void, afterMs = 0): void {
    this.#around.world.scheduler.post(this.process, 'completion', what, afterMs, run)
  }

  #nowMs(): number {
    return this.#around.world.nowMs - this.process.suspendedMs
  }
}
