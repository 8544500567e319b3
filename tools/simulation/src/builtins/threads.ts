import { EventEmitter, once } from 'node:events'
import threads, { type TransferListItem, type Worker } from 'node:worker_threads'
import { activeWorld } from '../world/active-world.ts'
import type { Random } from '../world/random.ts'
import type { SimProcess } from '../world/sim-process.ts'
import type { World } from '../world/world.ts'

/** How long an answer takes, in the mean. */
const MEAN_MS = 0.5
const RealWorker = threads.Worker
const randoms = new WeakMap<World, Random>()

/**
 * A real thread whose every answer is one step of the world. It answers each message with one, and says so
 * once it has started. What it was asked before its process died was done or was not.
 */
class SimThread extends EventEmitter {
  readonly #world: World
  readonly #owner: SimProcess
  readonly #random: Random
  readonly #begin: () => Worker
  #real: Worker | undefined

  constructor(world: World, ...args: ConstructorParameters<typeof Worker>) {
    super()
    this.#world = world
    this.#owner = world.scheduler.current
    this.#random = randomOf(world)
    this.#begin = () => new RealWorker(...args)
    this.#owner.onExit(() => world.scheduler.hold(this.#owner, async () => this.#end()))
    this.#step('start', async () => {
      this.#real = this.#begin()
      return this.#answer(this.#real)
    })
  }

  postMessage(message: { readonly what: string }, moved: readonly TransferListItem[]): void {
    const copy = structuredClone(message, { transfer: [...moved] as ArrayBuffer[] })
    this.#step(message.what, async () => {
      const real = this.#real!
      const answered = this.#answer(real)
      real.postMessage(copy)
      return answered
    })
  }

  terminate(): Promise<number> {
    return new Promise((resolve) => {
      const { scheduler } = this.#world
      scheduler.post(this.#owner, 'completion', 'thread end', 0, () =>
        scheduler.hold(this.#owner, async () => {
          await this.#end()
          resolve(0)
        }),
      )
    })
  }

  ref(): this {
    return this
  }

  unref(): this {
    return this
  }

  #step(what: string, work: () => Promise<() => void>): void {
    const { scheduler } = this.#world
    const afterMs = this.#random.around(MEAN_MS)
    scheduler.post(
      this.#owner,
      'completion',
      `thread ${what}`,
      afterMs,
      () => scheduler.hold(this.#owner, async () => (await work())()),
      () => {
        if (this.#random.chance(0.5)) scheduler.hold(this.#owner, async () => void (await work()))
      },
    )
  }

  /** What tells of the next message, or of the end of the thread. */
  async #answer(real: Worker): Promise<() => void> {
    try {
      const [message] = (await once(real, 'message')) as [unknown]
      return () => this.emit('message', message)
    } catch (error) {
      return () => this.emit('error', error)
    }
  }

  /** Ends the thread, its file closed and otherwise as it is. */
  async #end(): Promise<void> {
    const real = this.#real
    this.#real = undefined
    await real?.terminate()
  }
}

function randomOf(world: World): Random {
  let random = randoms.get(world)
  if (random === undefined) randoms.set(world, (random = world.random('threads')))
  return random
}

/** Makes the threads that are started belong to the active world. */
export function installThreads(): void {
  threads.Worker = new Proxy(RealWorker, {
    construct: (real, args: ConstructorParameters<typeof Worker>) => {
      const world = activeWorld()
      return world === undefined ? new real(...args) : new SimThread(world, ...args)
    },
  })
}
