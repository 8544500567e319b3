import { expect, test } from 'vitest'
import { runSchedule, type Schedule } from './restore-schedule.ts'
import { seed } from './seed.ts'

const WANTED = Number(process.env['SLIP_SCHEDULES'] ?? 3_000)
const AT_ONCE = 32

/** Without a fault, and then with each fault at each commit that was made without one. */
async function schedulesOf(scenario: number, failures: string[]): Promise<number> {
  let count = 0
  const run = async (schedule: Schedule): Promise<number> => {
    count++
    const { commits, broken } = await runSchedule(schedule)
    if (broken !== undefined) failures.push(`${JSON.stringify(schedule)}: ${broken}`)
    return commits
  }
  for (const tail of ['before', 'after'] as const)
    for (const maxCount of [1, 2, 1_000]) {
      const commits = await run({ scenario, tail, maxCount, fault: undefined })
      for (const kind of ['fails', 'before', 'after'] as const)
        for (let at = 0; at < commits; at++) await run({ scenario, tail, maxCount, fault: { kind, at } })
    }
  return count
}

test(
  `a repair that fails or dies before or after each of its commits ends at the truth (${WANTED} schedules)`,
  { timeout: 60_000 + WANTED * 100 },
  async () => {
    const failures: string[] = []
    let count = 0
    let scenario = seed
    const worker = async (): Promise<void> => {
      while (count < WANTED && failures.length < 5) {
        const more = await schedulesOf(scenario++, failures)
        count += more
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, worker))
    console.log(`${count} schedules of ${scenario - seed} scenarios`)
    expect(failures).toEqual([])
  },
)
