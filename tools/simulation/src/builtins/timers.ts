import timersPromises from 'node:timers/promises'
import { activeWorld } from '../world/active-world.ts'
import type { SimProcess } from '../world/sim-process.ts'
import type { Task } from '../world/scheduler.ts'
import type { World } from '../world/world.ts'

/** Node arms a timer against a clock of whole milliseconds, so it may come that much early. */
const EARLY_MS = 0.9
const MOST_TIMEOUT_MS = 0x7fff_ffff

/** The event loop's own turn, for whoever drives a world. */
export const realSetImmediate: typeof setImmediate = globalThis.setImmediate

class SimTimer {
  readonly #world: World
  readonly #owner: SimProcess
  readonly #ms: number
  readonly #repeats: boolean
  readonly #fire: () => void
  #task: Task | undefined

  constructor(world: World, ms: number, repeats: boolean, fire: () => void) {
    this.#world = world
    this.#owner = world.scheduler.current
    this.#ms = ms >= 1 && ms <= MOST_TIMEOUT_MS ? Math.trunc(ms) : 1
    this.#repeats = repeats
    this.#fire = fire
    this.refresh()
  }

  refresh(): this {
    this.clear()
    const { scheduler } = this.#world
    const early = this.#owner.ticks ? EARLY_MS * ((scheduler.steps % 10) / 10) : 0
    this.#task = scheduler.post(this.#owner, 'timer', `timer ${this.#ms}`, this.#ms - early, () => {
      this.#task = undefined
      if (this.#repeats) this.refresh()
      this.#fire()
    })
    return this
  }

  clear(): void {
    if (this.#task !== undefined) this.#world.scheduler.cancel(this.#task)
    this.#task = undefined
  }

  close(): this {
    this.clear()
    return this
  }

  ref(): this {
    return this
  }

  unref(): this {
    return this
  }

  hasRef(): boolean {
    return true
  }

  [Symbol.dispose](): void {
    this.clear()
  }
}

class SimImmediate {
  readonly #world: World
  readonly #task: Task

  constructor(world: World, fire: () => void) {
    this.#world = world
    this.#task = world.scheduler.post(world.scheduler.current, 'immediate', 'immediate', 0, fire)
  }

  clear(): void {
    this.#world.scheduler.cancel(this.#task)
  }

  ref(): this {
    return this
  }

  unref(): this {
    return this
  }

  hasRef(): boolean {
    return true
  }

  [Symbol.dispose](): void {
    this.clear()
  }
}

type Callback = (...args: unknown[]) => void

interface WaitOptions {
  readonly signal?: AbortSignal | undefined
}

/** Makes timers and immediates those of the active world; without one they stay what they are. */
export function installTimers(): void {
  const real = { ...globalThis }
  const promised = { ...timersPromises }
  const clear = (timer: unknown, whenReal: (timer: never) => void): void => {
    if (timer instanceof SimTimer || timer instanceof SimImmediate) timer.clear()
    else whenReal(timer as never)
  }
  Object.assign(globalThis, {
    setTimeout: (fire: Callback, ms?: number, ...args: unknown[]): unknown => {
      const world = activeWorld()
      if (world === undefined) return real.setTimeout(fire, ms, ...args)
      return new SimTimer(world, ms ?? 1, false, () => fire(...args))
    },
    setInterval: (fire: Callback, ms?: number, ...args: unknown[]): unknown => {
      const world = activeWorld()
      if (world === undefined) return real.setInterval(fire, ms, ...args)
      return new SimTimer(world, ms ?? 1, true, () => fire(...args))
    },
    setImmediate: (fire: Callback, ...args: unknown[]): unknown => {
      const world = activeWorld()
      if (world === undefined) return real.setImmediate(fire, ...args)
      return new SimImmediate(world, () => fire(...args))
    },
    clearTimeout: (timer: unknown) => clear(timer, real.clearTimeout),
    clearInterval: (timer: unknown) => clear(timer, real.clearInterval),
    clearImmediate: (timer: unknown) => clear(timer, real.clearImmediate),
  })
  Object.assign(timersPromises, {
    setTimeout: (ms?: number, value?: unknown, options?: WaitOptions) => {
      const world = activeWorld()
      if (world === undefined) return promised.setTimeout(ms, value, options)
      return waiting(value, options, (fire) => new SimTimer(world, ms ?? 1, false, fire))
    },
    setImmediate: (value?: unknown, options?: WaitOptions) => {
      const world = activeWorld()
      if (world === undefined) return promised.setImmediate(value, options)
      return waiting(value, options, (fire) => new SimImmediate(world, fire))
    },
  })
}

async function waiting(
  value: unknown,
  { signal }: WaitOptions = {},
  start: (fire: () => void) => { clear(): void },
): Promise<unknown> {
  signal?.throwIfAborted()
  return new Promise((resolve, reject) => {
    const timer = start(() => {
      signal?.removeEventListener('abort', onAbort)
      resolve(value)
    })
    const onAbort = (): void => {
      timer.clear()
      const error = new Error('The operation was aborted', { cause: signal?.reason })
      reject(Object.assign(error, { name: 'AbortError', code: 'ABORT_ERR' }))
    }
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}
