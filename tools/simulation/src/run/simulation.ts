import { SimBucket } from '../bucket/sim-bucket.ts'
import { mount } from '../builtins/files.ts'
import { HEALTHY_DISK } from '../disk/disk-faults.ts'
import { SimDisk } from '../disk/sim-disk.ts'
import { ArtifactShelf } from '../follower/artifact-shelf.ts'
import { foldLocation, LOG_NAME } from '../follower/fold-location.ts'
import type { Surroundings } from '../follower/follower-life.ts'
import { bucketDifferences, type FoldMeaning, prefixViolation } from '../oracle/fold-check.ts'
import { contentOf, type FoldContent } from '../oracle/fold-content.ts'
import type { KnownGap } from '../oracle/known-gaps.ts'
import { Ledger } from '../oracle/ledger.ts'
import { Verdict } from '../oracle/verdict.ts'
import { WriterWatch } from '../oracle/writer-watch.ts'
import type { Action, BucketDeed, Round } from '../plan/action.ts'
import type { Plan } from '../plan/plan.ts'
import { HEALTHY_WIRE } from '../wire/wire-faults.ts'
import { Wire } from '../wire/wire.ts'
import type { World } from '../world/world.ts'
import { protocol, scopePrefixes } from '@slip/kv-core'
import { BucketDeeds } from './bucket-deeds.ts'
import { FollowerDeeds } from './follower-deeds.ts'
import { FollowerHome } from './follower-home.ts'
import type { Plant } from './plants.ts'

const QUIET_APPLY = { fails: 0, slow: 0, slowMs: 0 }
const BUCKET_DEEDS: ReadonlySet<string> = new Set<BucketDeed['type']>([
  'put',
  'delete',
  'purge',
  'burst',
  'purgePrefix',
  'removeNewest',
  'removeMarkers',
  'evict',
  'tighten',
  'recreate',
  'backup',
  'restore',
  'rollback',
])
/** What a follower may take to be in step again once everything around it is well, besides three stale intervals. */
const RECOVERY_MS = 60_000
/** Counts prove keys; of a bucket with history they prove no values. */
const PROVES_VALUES = Object.hasOwn(protocol, 'auditListing')
/** How long calls from the storm may hang before they are given up. */
const LEFTOVERS_MS = 11_000
/** How long a listing that was slow may put off the next. */
const MOST_PUT_OFF_MS = 1_200_000
/** The second after an audit interval. */
const DETECTION_MS = 1_000

/** What a run may be different in. */
export interface Ways {
  readonly plant?: Plant | undefined
  /** Known gaps that are not excused; none unless given. */
  readonly refused?: readonly KnownGap[] | undefined
  /** For real files; nothing is there unless given. */
  readonly directory?: string | undefined
}

/** One world from its beginning to its end: rounds of storm and calm around one follower. */
export class Simulation {
  readonly verdict: Verdict
  readonly home: FollowerHome
  readonly #world: World
  readonly #plan: Plan
  readonly #bucket: SimBucket
  readonly #wire: Wire
  readonly #disk: SimDisk
  readonly #ledger: Ledger
  readonly #around: Surroundings
  readonly #meaning: FoldMeaning
  readonly #bucketDeeds: BucketDeeds
  readonly #followerDeeds: FollowerDeeds
  #checking = false

  private constructor(
    world: World,
    plan: Plan,
    bucket: SimBucket,
    { plant, refused, directory = '/disk' }: Ways,
  ) {
    const { profile } = plan
    this.#world = world
    this.#plan = plan
    this.#bucket = bucket
    this.verdict = new Verdict(world)
    this.#disk = new SimDisk(world, directory)
    this.#disk.forgetsSync = plant?.forgetsSync === true
    world.host.namesAreTaken = plant?.locksNothing !== true
    mount(world, this.#disk)
    this.#wire = new Wire(world)
    this.#ledger = new Ledger(this.verdict, () => lossUnknown(this.#disk))
    this.#meaning = {
      prefixes: scopePrefixes(profile.follower.scope),
      emptyValues: profile.follower.emptyValues,
      whenEvicted: 'drop',
      maxValueBytes: profile.follower.maxValueBytes,
      excusesCameBack: refused?.includes('cameBack') !== true,
    }
    this.#around = {
      world,
      wire: this.#wire,
      bucket,
      profile,
      ledger: this.#ledger,
      verdict: this.verdict,
      writers: new WriterWatch(this.verdict),
      location: foldLocation(directory, profile),
      applyRandom: world.random('apply'),
      applyFaults: QUIET_APPLY,
      committed: () => this.#checkSoon(),
      shelf: ArtifactShelf.of(world, bucket, profile),
      plantedApply: plant?.apply,
    }
    this.home = new FollowerHome(this.#around)
    this.#bucketDeeds = new BucketDeeds(this.#around, () => this.#checkSoon())
    this.#followerDeeds = new FollowerDeeds(this.home, this.#disk)
  }

  static async begin(world: World, plan: Plan, ways: Ways): Promise<Simulation> {
    return new Simulation(world, plan, await SimBucket.open(world, plan.profile.bucket), ways)
  }

  /** Runs as a program of the bucket's server, on the world's clock. */
  async run(): Promise<void> {
    this.#world.scheduler.pace = this.#plan.profile.pace
    this.home.up()
    for (const round of this.#plan.rounds) {
      await this.#storm(round)
      await this.#calm(round)
    }
    await this.#end()
  }

  async #storm({ stormMs, actions }: Round): Promise<void> {
    const { profile } = this.#plan
    this.#wire.faults = profile.wire
    this.#disk.faults = profile.disk
    this.#around.applyFaults = profile.apply
    for (const action of actions) this.#schedule(action)
    await this.#sleep(stormMs)
  }

  async #calm({ inCalm }: Round): Promise<void> {
    const beganMs = this.#world.nowMs
    this.#wire.faults = HEALTHY_WIRE
    this.#disk.faults = HEALTHY_DISK
    this.#around.applyFaults = QUIET_APPLY
    this.#followerDeeds.restore()
    this.home.up()
    await this.#recovered()
    await this.#sleep(LEFTOVERS_MS)
    await this.#listed(beganMs)
    for (const action of inCalm) await this.#perform(action)
    await this.#staysTrue()
    await this.#recovered()
    const difference = this.home.life?.difference()
    if (difference !== undefined && (await this.#differences()).length === 0)
      this.verdict.violated(3, difference)
  }

  /** Closed in good order, everything is on the disk. */
  async #end(): Promise<void> {
    this.home.close(3_600_000)
    await this.#until(() => this.home.life!.ended, RECOVERY_MS, 8, 'close() did not end')
    this.#disk.crash()
    if (this.#plan.profile.store === 'log') this.#ledger.powerLost()
    this.home.up()
    await this.#recovered()
  }

  async #recovered(): Promise<void> {
    const { staleAfterMs } = this.#plan.profile.follower
    await this.#until(
      () => this.home.life?.follower?.status.state === 'live',
      RECOVERY_MS + 3 * staleAfterMs,
      4,
      'the follower is not live although everything is well',
    )
  }

  /**
   * A bucket with history is listed too, in a twentieth of the time at most: a listing that the storm made
   * slow puts off the next one, and what only a listing sees is seen by none before it.
   */
  async #listed(sinceMs: number): Promise<void> {
    if ((this.#plan.profile.bucket.history ?? 1) === 1) return
    const endMs = this.#world.nowMs + MOST_PUT_OFF_MS
    while (this.#world.nowMs < endMs) {
      const { historyPerKey = 1 } = await this.#bucket.store.watcher.describe('all')
      const status = this.home.life?.follower?.status
      if (historyPerKey === 1 || status?.unverified.includes('revisions') === true) return
      if ((this.home.life?.listedMs ?? -1) >= sinceMs) return
      await this.#sleep(1_000)
    }
  }

  /** Promise 4: for two audit intervals no difference lasts longer than one and a second, unless the status speaks of it. */
  async #staysTrue(): Promise<void> {
    const { auditIntervalMs, staleAfterMs } = this.#plan.profile.follower
    // A session that fell silent in the storm is noticed by its silence, not by the audit.
    const mostMs = Math.max(auditIntervalMs, staleAfterMs) + DETECTION_MS
    const endMs = this.#world.nowMs + 2 * mostMs
    let since = new Map<string, number>()
    while (this.#world.nowMs < endMs || since.size > 0) {
      await this.#sleep(Math.max(50, auditIntervalMs / 10))
      const { nowMs } = this.#world
      const before = since
      since = new Map((await this.#differences()).map((each) => [each, before.get(each) ?? nowMs]))
      for (const [difference, sinceMs] of since)
        if (nowMs - sinceMs > mostMs + auditIntervalMs / 10) {
          this.verdict.violated(4, `live and wrong for ${Math.round(nowMs - sinceMs)} ms: ${difference}`)
          return
        }
    }
  }

  /** In what the fold differs from the bucket while the status claims that it does not. */
  async #differences(): Promise<readonly string[]> {
    const heads = await this.#bucket.heads()
    await this.#bucket.record()
    const fold = this.#fold()
    const status = this.home.life?.follower?.status
    if (fold === undefined || status?.state !== 'live') return []
    if (status.unverified.includes('count')) {
      this.verdict.count('compared while the count is not trusted')
      return []
    }
    if ((this.#plan.profile.bucket.history ?? 1) > 1 && !PROVES_VALUES) return []
    return bucketDifferences(fold.content, this.#bucket.history.current, heads, this.#meaning)
  }

  #fold(): { readonly content: FoldContent; readonly cursor: number } | undefined {
    const store = this.home.life?.follower?.store
    if (store === undefined || this.home.life!.ended) return undefined
    try {
      return { content: contentOf(store), cursor: Number(store.cursor.revision ?? 0n) }
    } catch {
      return undefined
    }
  }

  /** Promises 1 and 5, once for however many changes there were since the last time. */
  #checkSoon(): void {
    if (this.#checking) return
    this.#checking = true
    const { scheduler, server } = this.#world
    scheduler.post(server, 'completion', 'check', 0, () => {
      this.#checking = false
      void this.#check()
    })
  }

  async #check(): Promise<void> {
    const heads = await this.#bucket.heads()
    await this.#bucket.record()
    const fold = this.#fold()
    if (fold === undefined) return
    this.verdict.count('folds compared with the history')
    const { history } = this.#bucket
    const found = prefixViolation(fold.content, fold.cursor, history, heads, this.#meaning)
    if (found !== undefined) this.verdict.violated(history.branches.length === 1 ? 1 : 5, found)
  }

  #schedule(action: Action): void {
    const { scheduler, server } = this.#world
    scheduler.post(server, 'completion', `deed ${action.id} ${action.type}`, action.atMs, () => {
      void this.#perform(action)
    })
  }

  async #perform(action: Action): Promise<void> {
    if (isBucketDeed(action)) {
      this.verdict.count(`deeds: ${action.type}`)
      await this.#bucketDeeds.perform(action)
    } else this.#followerDeeds.perform(action)
  }

  async #until(condition: () => boolean, mostMs: number, promise: number, failure: string): Promise<void> {
    const endMs = this.#world.nowMs + mostMs
    while (!condition()) {
      if (this.#world.nowMs > endMs) {
        const status = this.home.life?.follower?.status
        this.verdict.violated(promise, `${failure}: ${status?.state ?? 'not open'} ${status?.reason ?? ''}`)
        return
      }
      await this.#sleep(100)
    }
  }

  #sleep(ms: number): Promise<void> {
    const { scheduler, server } = this.#world
    return new Promise((resolve) => {
      scheduler.post(server, 'completion', 'wait', ms, resolve)
    })
  }
}

function lossUnknown({ directory }: SimDisk): boolean {
  return directory.find(LOG_NAME)?.hasLost === true && directory.find(`${LOG_NAME}.doubtful`) === undefined
}

function isBucketDeed(action: Action): action is Action & BucketDeed {
  return BUCKET_DEEDS.has(action.type)
}
