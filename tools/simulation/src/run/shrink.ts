import { FAULT_GROUPS, type FaultGroup } from '../plan/profile.ts'
import { simulate, type SimulationOptions, type SimulationResult } from './simulate.ts'

/** What is left of a failing run when nothing more can be taken away. */
export interface Shrunk {
  readonly keep: readonly number[]
  readonly without: readonly FaultGroup[]
  readonly result: SimulationResult
  readonly runs: number
}

/**
 * Takes away groups of faults and actions, ever smaller pieces of them, as long as the run still breaks
 * the same promise (delta debugging, Zeller and Hildebrandt 2002).
 */
export async function shrink(failed: SimulationResult, options: SimulationOptions): Promise<Shrunk> {
  const promise = failed.violation!.promise
  let best = failed
  let keep = failed.actions
  let without: readonly FaultGroup[] = options.without ?? []
  let runs = 0
  const fails = async (candidate: readonly number[], groups: readonly FaultGroup[]): Promise<boolean> => {
    runs++
    const result = await simulate({ ...options, keep: candidate, without: groups, print: undefined })
    if (result.violation?.promise !== promise) return false
    best = result
    keep = candidate
    without = groups
    return true
  }
  for (const group of FAULT_GROUPS) if (!without.includes(group)) await fails(keep, [...without, group])
  for (let pieces = 2; keep.length > 0;) {
    const size = Math.ceil(keep.length / pieces)
    let smaller = false
    for (let from = 0; from < keep.length && !smaller; from += size)
      smaller = await fails(
        keep.filter((_, i) => i < from || i >= from + size),
        without,
      )
    if (smaller) pieces = Math.max(2, pieces - 1)
    else if (size === 1) break
    else pieces *= 2
  }
  return { keep, without, result: best, runs }
}
