import { simulate, type SimulationOptions, type SimulationResult } from './simulate.ts'

/** One seed in so many is run twice. */
const TWICE_EVERY = 100

/** What a range of seeds came to. */
export interface Summary {
  simulations: number
  repeated: number
  simulatedMs: number
  followedMs: number
  steps: number
  counts: Record<string, number>
  failures: { seed: number; promise: number; what: string }[]
}

export function emptySummary(): Summary {
  return { simulations: 0, repeated: 0, simulatedMs: 0, followedMs: 0, steps: 0, counts: {}, failures: [] }
}

export function addTo(total: Summary, part: Summary): void {
  total.simulations += part.simulations
  total.repeated += part.repeated
  total.simulatedMs += part.simulatedMs
  total.followedMs += part.followedMs
  total.steps += part.steps
  for (const [what, count] of Object.entries(part.counts))
    total.counts[what] = (total.counts[what] ?? 0) + count
  total.failures.push(...part.failures)
}

/** Runs `seeds` one after the other, every hundredth twice; stops after `mostFailures`. */
export async function campaign(
  seeds: readonly number[],
  options: Omit<SimulationOptions, 'seed'>,
  mostFailures: number,
  progress: (part: Summary) => void,
): Promise<Summary> {
  const total = emptySummary()
  for (const seed of seeds) {
    const result = await simulate({ ...options, seed })
    const part = summaryOf(result)
    if (seed % TWICE_EVERY === 0) {
      part.repeated = 1
      const again = await simulate({ ...options, seed })
      if (again.hash !== result.hash)
        part.failures.push({ seed, promise: 0, what: `two runs differ: ${result.hash} and ${again.hash}` })
    }
    addTo(total, part)
    progress(part)
    if (total.failures.length >= mostFailures) break
  }
  return total
}

function summaryOf({ seed, simulatedMs, followedMs, steps, counts, violation }: SimulationResult): Summary {
  return {
    simulations: 1,
    repeated: 0,
    simulatedMs,
    followedMs,
    steps,
    counts: { ...counts },
    failures: violation === undefined ? [] : [{ seed, promise: violation.promise, what: violation.what }],
  }
}
