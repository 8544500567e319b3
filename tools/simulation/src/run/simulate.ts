import { existsSync, mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { resetLooks } from '../builtins/clocks.ts'
import { realSetImmediate } from '../builtins/timers.ts'
import type { KnownGap } from '../oracle/known-gaps.ts'
import type { Violation } from '../oracle/verdict.ts'
import type { FaultGroup, StoreKind } from '../plan/profile.ts'
import { planOf } from '../plan/plan.ts'
import { activate } from '../world/active-world.ts'
import { Trace } from '../world/trace.ts'
import { World } from '../world/world.ts'
import { type Plant, plantRules } from './plants.ts'
import { reducedPlan } from './reduced-plan.ts'
import { Simulation } from './simulation.ts'

/** More than any world needs: a loop that does nothing else would run for ever. */
const MOST_STEPS = 3_000_000
const MEMORY = '/dev/shm'

export interface SimulationOptions {
  readonly seed: number
  /** Only these actions of the plan; all of them unless given. */
  readonly keep?: readonly number[] | undefined
  readonly without?: readonly FaultGroup[] | undefined
  readonly plant?: Plant | undefined
  /** What keeps the fold; the seed decides it unless given. */
  readonly store?: StoreKind | undefined
  /** Known gaps of the product that are not excused; none unless given. */
  readonly refused?: readonly KnownGap[] | undefined
  /** Gets every line of the trace. */
  readonly print?: ((line: string) => void) | undefined
}

export interface SimulationResult {
  readonly seed: number
  readonly hash: string
  readonly steps: number
  /** From the beginning of the world to its end. */
  readonly simulatedMs: number
  /** Of that, with a follower running. */
  readonly followedMs: number
  /** The ids of the actions that were in the plan. */
  readonly actions: readonly number[]
  readonly violation: Violation | undefined
  readonly counts: Readonly<Record<string, number>>
}

let strayRejection: ((reason: unknown) => void) | undefined
process.on('unhandledRejection', (reason) => {
  if (strayRejection === undefined) throw reason
  strayRejection(reason)
})

/** Runs one world. One at a time: the builtins are the world's meanwhile. */
export async function simulate(options: SimulationOptions): Promise<SimulationResult> {
  const { seed, plant } = options
  const trace = new Trace(options.print)
  const world = new World(String(seed), trace)
  const plan = reducedPlan(planOf(world.random('plan'), world.random('store'), options.store), options)
  const directory = plan.profile.store === 'lmdb' ? scratchDirectory() : undefined
  plantRules(plant)
  resetLooks()
  activate(world)
  try {
    const simulation = await Simulation.begin(world, plan, { ...options, directory })
    const { verdict } = simulation
    strayRejection = (reason) => verdict.violated(8, `a rejection that nobody handled: ${String(reason)}`)
    await drive(world, simulation)
    return {
      seed,
      hash: trace.hash,
      steps: world.scheduler.steps,
      simulatedMs: world.nowMs,
      followedMs: Math.max(0, simulation.home.followedMs - simulation.home.stoppedMs),
      actions: plan.rounds.flatMap(({ actions, inCalm }) => [...actions, ...inCalm].map(({ id }) => id)),
      violation: verdict.violation,
      counts: Object.fromEntries([...verdict.counts].sort(([a], [b]) => (a < b ? -1 : 1))),
    }
  } finally {
    strayRejection = undefined
    activate(undefined)
    plantRules(undefined)
    if (directory !== undefined) rmSync(directory, { recursive: true, force: true })
  }
}

/** Steps through the world until its program is over or a promise is broken; all microtasks run between two steps. */
function drive(world: World, simulation: Simulation): Promise<void> {
  const { scheduler } = world
  const { verdict } = simulation
  return new Promise((resolve, reject) => {
    let over = false
    simulation.run().then(() => (over = true), reject)
    const turn = (): void => {
      try {
        if (scheduler.steps >= MOST_STEPS)
          verdict.violated(0, `the world did not end within ${MOST_STEPS} steps`)
        if (over || verdict.violation !== undefined || !step(world, verdict)) {
          scheduler.rest()
          for (const process of world.host.processes.values()) world.kill(process)
          scheduler.settle(eventLoopTurn).then(() => realSetImmediate(resolve), reject)
          return
        }
        realSetImmediate(scheduler.holds ? settle : turn)
      } catch (error) {
        reject(error)
      }
    }
    const settle = (): void => {
      scheduler.settle(eventLoopTurn).then(turn, reject)
    }
    realSetImmediate(turn)
  })
}

function eventLoopTurn(): Promise<void> {
  return new Promise((resolve) => realSetImmediate(resolve))
}

/** For the real files of a world, in memory where the system has a place for that. */
function scratchDirectory(): string {
  return realpathSync(mkdtempSync(join(existsSync(MEMORY) ? MEMORY : tmpdir(), 'slip-simulation-')))
}

function step(world: World, verdict: Simulation['verdict']): boolean {
  try {
    return world.scheduler.step()
  } catch (error) {
    verdict.violated(8, `a callback threw: ${String(error)}`)
    return true
  }
}
