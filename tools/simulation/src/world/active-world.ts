import type { SimProcess } from './sim-process.ts'
import type { World } from './world.ts'

let active: World | undefined

/** The world the builtins belong to at the moment; undefined when they are the real ones. */
export function activeWorld(): World | undefined {
  return active
}

export function activate(world: World | undefined): void {
  active = world
}

/** The process whose code is running. */
export function currentProcess(world: World): SimProcess {
  return world.scheduler.current
}
