/** How much the cases do that repeat themselves. */
export interface RunCounts {
  /** Processes killed with -9. @default `SLIP_KILLS` of the environment, else 12 */
  readonly kills: number
  /** Damaged folds opened, over all kinds of damage. @default `SLIP_DAMAGES`, else 60 */
  readonly damages: number
  /** How long reader processes read beside a writer, in milliseconds. @default `SLIP_READ_MS`, else 2,000 */
  readonly readMs: number
  /** How many of them. @default `SLIP_READERS`, else 2 */
  readonly readers: number
}

const VARIABLES: Readonly<Record<keyof RunCounts, string>> = {
  kills: 'SLIP_KILLS',
  damages: 'SLIP_DAMAGES',
  readMs: 'SLIP_READ_MS',
  readers: 'SLIP_READERS',
}

const DEFAULTS: RunCounts = { kills: 12, damages: 60, readMs: 2_000, readers: 2 }

/** The suite's counts, else the environment's, else the defaults. `RangeError` for what is no positive whole number. */
export function runCounts({ counts = {} }: { readonly counts?: Partial<RunCounts> }): RunCounts {
  const count = (name: keyof RunCounts): number => {
    const chosen = counts[name] ?? fromEnvironment(VARIABLES[name]) ?? DEFAULTS[name]
    if (!Number.isSafeInteger(chosen) || chosen < 1)
      throw new RangeError(`${name} is not a whole number above 0: ${chosen}`)
    return chosen
  }
  return {
    kills: count('kills'),
    damages: count('damages'),
    readMs: count('readMs'),
    readers: count('readers'),
  }
}

function fromEnvironment(variable: string): number | undefined {
  const text = process.env[variable]
  return text === undefined || text === '' ? undefined : Number(text)
}
