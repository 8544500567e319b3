import { parseArgs } from 'node:util'
import type { RunCounts } from './run-counts.ts'

export const USAGE = `usage: slip-conformance [options] MODULE

MODULE exports \`suite\` (a StoreSuite or a SourceSuite), or as its default export
\`(path) => SnapshotLocation\`: then the suite is made from that.

  --list            print the ids and titles of the cases, run none
  --only ID         only the case ID, or the cases whose ids begin with ID; repeatable
  --seed N          of the random cases (the scorecard prints it)
  --kills N         processes to kill with -9 (12)
  --damages N       damaged folds to open (60)
  --read-ms N       how long reader processes read beside a writer, in milliseconds (2000)
  --readers N       how many of them (2)
  --json            a line of JSON a case and one for the scorecard, nothing else
  --help

exit codes: 0 nothing failed, 1 a case failed, 2 wrong usage or a module that is no suite

  slip-conformance ./my-store.js --only durability/ --kills 500
`

/** What a run was asked for. */
export interface Invocation {
  readonly module: string
  readonly list: boolean
  readonly json: boolean
  /** Ids or beginnings of ids; none for all. */
  readonly only: readonly string[]
  readonly seed: number | undefined
  readonly counts: Partial<RunCounts>
}

/** The words of a command line; `help` when that was asked for. `TypeError` or `RangeError` when they make no sense. */
export function parseCommandLine(args: readonly string[]): Invocation | 'help' {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      list: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
      only: { type: 'string', multiple: true, default: [] },
      seed: { type: 'string' },
      kills: { type: 'string' },
      damages: { type: 'string' },
      'read-ms': { type: 'string' },
      readers: { type: 'string' },
    },
  })
  if (values.help) return 'help'
  const [module, ...rest] = positionals
  if (module === undefined || rest.length > 0) throw new TypeError('one MODULE is needed')
  const counts = {
    kills: wholeNumber('kills', values.kills),
    damages: wholeNumber('damages', values.damages),
    readMs: wholeNumber('read-ms', values['read-ms']),
    readers: wholeNumber('readers', values.readers),
  }
  return {
    module,
    list: values.list,
    json: values.json,
    only: values.only,
    seed: wholeNumber('seed', values.seed),
    counts: Object.fromEntries(Object.entries(counts).filter(([, count]) => count !== undefined)),
  }
}

function wholeNumber(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const value = Number(text)
  if (text.trim() === '' || !Number.isSafeInteger(value) || value < 1)
    throw new RangeError(`--${option} takes a whole number above 0, not ${text}`)
  return value
}
