import { follow, KvError, SnapshotError } from '@slip/kv-core'
import { AppendLogSnapshot } from '@slip/store-applog'
import { LmdbSnapshot } from '@slip/store-lmdb'
import type { SimDisk } from '../disk/sim-disk.ts'
import { LOG_NAME } from '../follower/fold-location.ts'
import { observedLocation } from '../follower/observed-store.ts'
import { contentDifference, contentOf } from '../oracle/fold-content.ts'
import type { Action, FollowerDeed } from '../plan/action.ts'
import type { FollowerHome } from './follower-home.ts'

/** The magic of the file stays: without it the file would not be known as ours. */
const FLIP_FROM = 8

/** Does to the follower, its machine and its network what a plan says. */
export class FollowerDeeds {
  readonly #home: FollowerHome
  readonly #disk: SimDisk
  #spared = 0

  constructor(home: FollowerHome, disk: SimDisk) {
    this.#home = home
    this.#disk = disk
  }

  perform(action: Action & FollowerDeed): void {
    const home = this.#home
    const { world, wire, verdict } = home.around
    const { life } = home
    verdict.count(`deeds: ${action.type}`)
    switch (action.type) {
      case 'kill':
        return home.down(action.downMs)
      case 'close':
        return home.close(action.downMs)
      case 'powerCut':
        return this.#powerCut(action.downMs, action.flipBit)
      case 'freeze':
      case 'suspend':
        if (life === undefined || life.process.state !== 'running') return home.down(action.forMs)
        world.freeze(life.process)
        home.stoppedMs += action.forMs
        return this.#later(action.forMs, () => {
          if (life.process.state !== 'frozen') return
          if (action.type === 'suspend') world.overslept(life.process, action.forMs)
          world.thaw(life.process)
          life.awake()
        })
      case 'clockJump':
        world.host.clockOffsetMs += action.byMs
        return undefined
      case 'cutWire':
        wire.cut = true
        return this.#later(action.forMs, () => (wire.cut = false))
      case 'wireDown':
        wire.down = true
        return this.#later(action.forMs, () => (wire.down = false))
      case 'fillDisk':
        this.#disk.freeBytes = action.freeBytes
        return this.#later(action.forMs, () => (this.#disk.freeBytes = Infinity))
      case 'exclusive':
        return this.#exclusive(action.forMs)
      case 'secondOpener':
        return this.#secondOpener()
      case 'waitForLast':
        return this.#waitForLast()
      case 'compact':
        return this.#compact()
    }
  }

  /** Undoes what lasts: the calm begins. */
  restore(): void {
    this.#spared++
    const { world, wire } = this.#home.around
    wire.cut = false
    wire.down = false
    this.#disk.freeBytes = Infinity
    const { life } = this.#home
    if (life?.process.state === 'frozen') {
      world.thaw(life.process)
      life.awake()
    }
  }

  #later(afterMs: number, undo: () => void): void {
    const { scheduler, server } = this.#home.around.world
    const storm = this.#spared
    scheduler.post(server, 'completion', 'undo', afterMs, () => {
      if (storm === this.#spared) undo()
    })
  }

  #powerCut(downMs: number, flipBit: boolean): void {
    const { world, ledger, verdict } = this.#home.around
    for (const process of world.host.processes.values()) world.kill(process)
    world.host.bootId = world.bootId(world.scheduler.steps)
    this.#disk.crash()
    if (this.#home.around.profile.store === 'log') ledger.powerLost()
    if (flipBit && this.#disk.flipBit(LOG_NAME, FLIP_FROM)) {
      ledger.damaged()
      verdict.count('bits flipped')
    }
    this.#home.down(downMs)
  }

  #exclusive(forMs: number): void {
    const { life } = this.#home
    const { verdict } = this.#home.around
    this.#inFollower((follower) => {
      follower
        .exclusive(async (store) => {
          const before = contentOf(store)
          const { cursor } = store
          await new Promise<void>((resolve) => setTimeout(resolve, forMs))
          const changed = contentDifference(before, contentOf(store), true)
          if (changed !== undefined || !cursor.equals(store.cursor))
            verdict.violated(6, `the fold changed inside exclusive(): ${changed ?? 'its cursor moved'}`)
        })
        .catch((error: unknown) => this.#mustBeTyped(error, 'exclusive()'))
    }, life)
  }

  #waitForLast(): void {
    const { bucket, verdict } = this.#home.around
    const revision = BigInt(bucket.history.current.lastRevision)
    if (revision === 0n) return
    this.#inFollower((follower) => {
      follower.waitFor(revision, { timeoutMs: 5_000 }).then(
        () => {
          if ((follower.cursor.revision ?? 0n) < revision)
            verdict.violated(2, `waitFor(${revision}) resolved at ${follower.cursor.revision}`)
        },
        (error: unknown) => this.#mustBeTyped(error, 'waitFor()'),
      )
    })
  }

  #compact(): void {
    this.#inFollower((follower) => {
      const { store } = follower
      if (!(store instanceof AppendLogSnapshot || store instanceof LmdbSnapshot)) return
      store.compact().catch((error: unknown) => this.#mustBeTyped(error, 'compact()'))
    })
  }

  /** Another process tries to follow with the same fold. */
  #secondOpener(): void {
    const { location, world, ledger, verdict, writers } = this.#home.around
    const process = world.spawn('second')
    const open = async (): Promise<void> => {
      try {
        const second = await follow({
          source: () => new Promise(() => undefined),
          store: observedLocation(location, {
            process,
            ledger,
            verdict,
            writers,
            maxValueBytes: Infinity,
            committed: () => undefined,
            swapped: () => undefined,
            swapping: () => undefined,
            kept: () => undefined,
          }),
        })
        await second.close()
      } catch (error) {
        verdict.count(`second opener: ${String((error as { code?: unknown }).code)}`)
        this.#mustBeTyped(error, 'a second opener')
      }
      world.scheduler.post(process, 'completion', 'exit', 0, () => world.kill(process))
    }
    world.scheduler.post(process, 'completion', 'start', 0, () => void open())
  }

  #inFollower(
    work: (follower: NonNullable<NonNullable<FollowerHome['life']>['follower']>) => void,
    life = this.#home.life,
  ): void {
    const follower = life?.follower
    if (life === undefined || follower === undefined) return
    this.#home.around.world.scheduler.post(life.process, 'completion', 'deed', 0, () => {
      try {
        work(follower)
      } catch (error) {
        this.#mustBeTyped(error, 'a call')
      }
    })
  }

  #mustBeTyped(error: unknown, what: string): void {
    if (!KvError.is(error) && !SnapshotError.is(error))
      this.#home.around.verdict.violated(8, `${what} rejected with ${String(error)}`)
  }
}
