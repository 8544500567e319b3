import { type Arguments, commandOf, parseArguments, USAGE } from './arguments.ts'
import { campaign, type Summary } from './campaign.ts'
import { PLANTS } from './plants.ts'
import { shrink } from './shrink.ts'
import { simulate, type SimulationOptions, type SimulationResult } from './simulate.ts'
import { inWorkers } from './workers.ts'

const YEAR_MS = 365.25 * 24 * 3_600_000
/** Small enough that workers end at about the same time. */
const RANGE = 100

/** Exit codes: 0 no promise broken, 1 one was, 2 usage. */
export async function main(words: readonly string[]): Promise<number> {
  const args = parseArguments(words)
  if (args === undefined) {
    process.stderr.write(USAGE)
    return 2
  }
  const options = {
    keep: args.keep,
    without: args.without,
    plant: args.plant === undefined ? undefined : PLANTS[args.plant],
    store: args.store,
    refused: args.refused,
  }
  if (args.seed !== undefined) return one(args.seed, args, options)
  return many(args, options)
}

async function one(seed: number, args: Arguments, options: Omit<SimulationOptions, 'seed'>): Promise<number> {
  const print = args.trace ? (line: string) => process.stdout.write(`${line}\n`) : undefined
  const result = await simulate({ ...options, seed, print })
  say(`seed ${seed}: trace ${result.hash}, ${result.steps} steps, ${days(result.simulatedMs)} simulated`)
  if (result.violation === undefined) {
    for (const [what, count] of Object.entries(result.counts)) say(`  ${count} ${what}`)
    return 0
  }
  await explain(result, { ...options, seed }, args)
  return 1
}

async function many(args: Arguments, options: Omit<SimulationOptions, 'seed'>): Promise<number> {
  const startedMs = performance.now()
  const seeds = Array.from({ length: args.count }, (_, i) => args.from + i)
  if (args.json) {
    const total = await campaign(seeds, options, args.failures, (part) => say(JSON.stringify(part)))
    return total.failures.length === 0 ? 0 : 1
  }
  const total =
    args.workers > 1 ? await spread(args) : await campaign(seeds, options, args.failures, () => undefined)
  report(total, performance.now() - startedMs)
  const [first] = total.failures
  if (first === undefined) return 0
  for (const { seed, promise, what } of total.failures)
    say(`FAILED seed ${seed}: promise ${promise}: ${what}\n  ${commandOf(seed, args)}`)
  const result = await simulate({ ...options, seed: first.seed })
  if (result.violation !== undefined) await explain(result, { ...options, seed: first.seed }, args)
  return 1
}

/** Gives ranges of seeds to workers as they become free. */
async function spread(args: Arguments): Promise<Summary> {
  const words = ['--failures', String(args.failures)]
  if (args.plant !== undefined) words.push('--plant', args.plant)
  if (args.store !== undefined) words.push('--store', args.store)
  if (args.refused.length > 0) words.push('--refuse', args.refused.join(','))
  const ranges = Array.from({ length: Math.ceil(args.count / RANGE) }, (_, i) => ({
    from: args.from + i * RANGE,
    count: Math.min(RANGE, args.count - i * RANGE),
  }))
  let shown = 0
  let told = 0
  return inWorkers(process.argv[1]!, words, ranges, args.workers, args.failures, (total) => {
    for (; told < total.failures.length; told++)
      process.stderr.write(`failed: ${commandOf(total.failures[told]!.seed, args)}\n`)
    if (total.simulations < shown + 1_000) return
    shown = total.simulations
    process.stderr.write(`${total.simulations} of ${args.count}, ${total.failures.length} failed\n`)
  })
}

async function explain(result: SimulationResult, options: SimulationOptions, args: Arguments): Promise<void> {
  const { promise, what, atMs } = result.violation!
  say(`promise ${promise} broken after ${atMs} ms: ${what}`)
  if (!args.shrink && args.keep !== undefined) return
  const shrunk = await shrink(result, options)
  const { violation } = shrunk.result
  say(`shrunk to ${shrunk.keep.length} of ${result.actions.length} actions in ${shrunk.runs} runs:`)
  say(`  promise ${violation!.promise}: ${violation!.what}`)
  say(`  ${commandOf(options.seed, { ...args, keep: shrunk.keep, without: shrunk.without })}`)
}

function report(total: Summary, tookMs: number): void {
  for (const [what, count] of Object.entries(total.counts).sort(([a], [b]) => (a < b ? -1 : 1)))
    say(`${String(count).padStart(10)} ${what}`)
  say(
    `${total.simulations} simulations, ${total.repeated} of them twice with the same trace, ` +
      `${(total.simulatedMs / YEAR_MS).toFixed(2)} simulated years ` +
      `(${(total.followedMs / 86_400_000).toFixed(2)} days of them with a follower running), ` +
      `${total.steps} steps, trace ${total.hash}, in ${(tookMs / 1_000).toFixed(1)} s, ${total.failures.length} failed`,
  )
}

function days(ms: number): string {
  return ms > 86_400_000 ? `${(ms / 86_400_000).toFixed(1)} days` : `${(ms / 1_000).toFixed(1)} s`
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}
