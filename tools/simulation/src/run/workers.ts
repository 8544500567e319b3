import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { addTo, emptySummary, type Summary } from './campaign.ts'

export interface SeedRange {
  readonly from: number
  readonly count: number
}

/** Runs ranges of seeds in `workers` processes at a time, until all are done or `mostFailures` were found. */
export async function inWorkers(
  program: string,
  words: readonly string[],
  ranges: readonly SeedRange[],
  workers: number,
  mostFailures: number,
  progress: (total: Summary) => void,
): Promise<Summary> {
  const total = emptySummary()
  const waiting = [...ranges]
  const work = async (): Promise<void> => {
    for (let range = waiting.shift(); range !== undefined; range = waiting.shift()) {
      if (total.failures.length >= mostFailures) return
      await runRange(program, words, range, (part) => {
        addTo(total, part)
        progress(total)
      })
    }
  }
  await Promise.all(Array.from({ length: workers }, work))
  return total
}

function runRange(
  program: string,
  words: readonly string[],
  { from, count }: SeedRange,
  add: (part: Summary) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const args = [program, ...words, '--json', '--from', String(from), '--count', String(count)]
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    createInterface({ input: child.stdout }).on('line', (line) => add(JSON.parse(line) as Summary))
    child.once('error', reject)
    child.once('close', (code) => {
      if (code === 0 || code === 1) resolve()
      else reject(new Error(`a worker for seeds from ${from} ended with ${code}`))
    })
  })
}
