import { simulate, type SimulationOptions, type SimulationResult } from './simulate.ts'

/** One seed in so many is run twice. */
const TWICE_EVERY = 100

/** What a range of seeds came to. */
export interface Summary {
  /** Of all traces together, in whichever order they were run. */
  hash: string
  simulations: number
  repeated: number
  simulatedMs: number
  followedMs: number
  steps: number
  counts: Record<string, number>
  failures: { seed: number; promise: number; what: string }[]
}

export function emptySummary(): Summary {
  return {
    hash: '0'.repeat(16),
    simulations: 0,
    repeated: 0,
    simulatedMs: 0,
    followedMs: 0,
    steps: 0,
    counts: {},
    failures: [],
  }
}

export function addTo(total: Summary, part: Summary): void {
  total.hash = bothHashes(total.hash, part.hash)
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

function bothHashes(a: string, b: string): string {
  return (BigInt(`0x${a}`) ^ BigInt(`0x${b}`)).toString(16).padStart(16, '0')
}

function summaryOf({
  seed,
  hash,
  simulatedMs,
  followedMs,
  steps,
  counts,
  violation,
}: SimulationResult): Summary {
  return {
    hash,
    simulations: 1,
    repeated: 0,
    simulatedMs,
    followedMs,
    steps,
    counts: { ...counts },
    failures: violation === undefined ? [] : [{ seed, promise: violation.promise, what: violation.what }],
  }
}
