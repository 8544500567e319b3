import { FollowerLife, type Surroundings } from '../follower/follower-life.ts'
import type { Random } from '../world/random.ts'

/** Keeps one follower running on its machine, as a service manager does, unless it is meant to be down. */
export class FollowerHome {
  readonly around: Surroundings
  life: FollowerLife | undefined
  /** How long followers ran, all lives together. */
  followedMs: number = 0
  readonly #random: Random
  #lives = 0
  /** How long they were frozen, or slept with their machine, meanwhile. */
  stoppedMs: number = 0
  #startedMs = 0
  /** Counts the reasons to start or not: only the newest start happens. */
  #intent = 0

  constructor(around: Surroundings) {
    this.around = around
    this.#random = around.world.random('restarts')
  }

  /** Starts one unless one lives. */
  up(): void {
    if (this.life !== undefined && !this.life.ended) return
    const { world } = this.around
    this.#intent++
    this.#startedMs = world.nowMs
    const life = new FollowerLife(this.around, `follower${++this.#lives}`, (error) =>
      this.#failed(life, error),
    )
    this.life = life
    life.process.onExit(() => {
      this.followedMs += world.nowMs - this.#startedMs
    })
    life.start()
  }

  /** Kills it; another starts after `downMs`. */
  down(downMs: number): void {
    if (this.life !== undefined) this.around.world.kill(this.life.process)
    this.#startAfter(downMs)
  }

  /** Ends it in good order, unless it has not opened yet; another starts `downMs` after its end. */
  close(downMs: number): void {
    const { life } = this
    if (life?.closing === true && !life.ended) return
    if (life?.follower === undefined || life.ended) {
      this.down(downMs)
      return
    }
    this.#intent++
    life.process.onExit(() => this.#startAfter(downMs))
    life.close()
  }

  #failed(life: FollowerLife, error: unknown): void {
    const { world, verdict } = this.around
    verdict.count(`restarts after: ${String((error as { code?: unknown }).code)}`)
    world.scheduler.post(life.process, 'completion', 'exit', 0, () => {
      world.kill(life.process)
      this.#startAfter(this.#random.between(100, 2_000))
    })
  }

  #startAfter(ms: number): void {
    const intent = ++this.#intent
    const { scheduler, server } = this.around.world
    scheduler.post(server, 'completion', 'restart', ms, () => {
      if (intent === this.#intent) this.up()
    })
  }
}
