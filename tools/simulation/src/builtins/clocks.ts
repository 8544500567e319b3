import { activeWorld } from '../world/active-world.ts'

/** How far the clock moves each time a busy process looks at it. */
const LOOK_MS = 0.002
/** One look in so many finds that a lot of time has passed: a collection of garbage, a preemption. */
const LONG_LOOK_EVERY = 997
const LONG_LOOK_MS = 5

const RealDate = globalThis.Date
let looks = 0

/** Begins the count of looks anew, so that worlds do not know of each other. */
export function resetLooks(): void {
  looks = 0
}

class SimDate extends RealDate {
  constructor(...parts: unknown[]) {
    if (parts.length === 0) super(wallClock())
    else super(...(parts as []))
  }

  static override now(): number {
    return wallClock()
  }
}

function wallClock(): number {
  const world = activeWorld()
  if (world === undefined) return RealDate.now()
  const { host } = world.scheduler.current
  return Math.trunc(world.timeMs + host.clockOffsetMs)
}

/** Makes `performance.now` and `Date` those of the active world's current process. */
export function installClocks(): void {
  const real = performance.now.bind(performance)
  const now = (): number => {
    const world = activeWorld()
    if (world === undefined) return real()
    const { scheduler } = world
    const { current } = scheduler
    if (current.ticks) scheduler.nowMs += ++looks % LONG_LOOK_EVERY === 0 ? LONG_LOOK_MS : LOOK_MS
    return scheduler.nowMs - current.suspendedMs
  }
  Object.defineProperty(performance, 'now', { value: now, configurable: true, writable: true })
  Object.defineProperty(globalThis, 'Date', { value: SimDate, configurable: true, writable: true })
}
