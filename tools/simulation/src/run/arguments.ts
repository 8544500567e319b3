import { GAP_NAMES, KNOWN_GAPS, type KnownGap } from '../oracle/known-gaps.ts'
import { FAULT_GROUPS, type FaultGroup, type StoreKind, STORES } from '../plan/profile.ts'
import { PLANTS } from './plants.ts'

export const USAGE: string = `usage: simulate --seed S [--trace] [--keep 1,2,3] [--without ${FAULT_GROUPS.join(',')}] [--store NAME] [--plant NAME] [--refuse GAPS]
       simulate --count N [--from S] [--workers W] [--failures F] [--store NAME] [--plant NAME] [--refuse GAPS]
       simulate --shrink --seed S [--store NAME] [--plant NAME] [--refuse GAPS]
stores: ${STORES.join(', ')}; the seed decides unless given
gaps: all or ${GAP_NAMES.join(', ')}
plants: ${Object.entries(PLANTS)
  .map(([name, { bug }]) => `${name} (${bug})`)
  .join(', ')}
`

export interface Arguments {
  readonly seed: number | undefined
  readonly count: number
  readonly from: number
  readonly workers: number
  /** After so many a campaign stops. */
  readonly failures: number
  readonly trace: boolean
  readonly shrink: boolean
  /** Results as lines of JSON: what a worker gives. */
  readonly json: boolean
  readonly keep: readonly number[] | undefined
  readonly without: readonly FaultGroup[]
  readonly plant: string | undefined
  /** What keeps the fold; the seed decides it unless given. */
  readonly store: StoreKind | undefined
  /** Known gaps that are not excused. */
  readonly refused: readonly KnownGap[]
}

/** undefined for arguments that make no sense. */
export function parseArguments(words: readonly string[]): Arguments | undefined {
  const values = new Map<string, string>()
  const flags = new Set<string>()
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!
    if (['--trace', '--shrink', '--json'].includes(word)) flags.add(word)
    else if (VALUED.has(word) && words[i + 1] !== undefined) values.set(word, words[++i]!)
    else return undefined
  }
  const number = (name: string, fallback: number): number => Number(values.get(name) ?? fallback)
  const plant = values.get('--plant')
  const store = values.get('--store')
  const without = namesIn(values.get('--without'))
  const refuse = values.get('--refuse')
  const refused = refuse === 'all' ? GAP_NAMES : namesIn(refuse)
  const seed = values.has('--seed') ? number('--seed', 0) : undefined
  const parsed = {
    seed,
    count: number('--count', seed === undefined ? 0 : 1),
    from: number('--from', 1),
    workers: number('--workers', 1),
    failures: number('--failures', 5),
    trace: flags.has('--trace'),
    shrink: flags.has('--shrink'),
    json: flags.has('--json'),
    keep: values
      .get('--keep')
      ?.split(',')
      .filter((id) => id !== '')
      .map(Number),
    without: without as FaultGroup[],
    plant,
    store: store as StoreKind | undefined,
    refused: refused as KnownGap[],
  }
  const numbers = [
    parsed.seed ?? 0,
    parsed.count,
    parsed.from,
    parsed.workers,
    parsed.failures,
    ...(parsed.keep ?? []),
  ]
  const sound =
    numbers.every((value) => Number.isSafeInteger(value) && value >= 0) &&
    parsed.count > 0 &&
    parsed.workers > 0 &&
    parsed.failures > 0 &&
    refused.every((gap) => Object.hasOwn(KNOWN_GAPS, gap)) &&
    without.every((group) => (FAULT_GROUPS as readonly string[]).includes(group)) &&
    (store === undefined || (STORES as readonly string[]).includes(store)) &&
    (plant === undefined || Object.hasOwn(PLANTS, plant))
  return sound ? parsed : undefined
}

function namesIn(list = ''): readonly string[] {
  return list.split(',').filter((name) => name !== '')
}

const VALUED = new Set([
  '--seed',
  '--count',
  '--from',
  '--workers',
  '--failures',
  '--keep',
  '--without',
  '--plant',
  '--store',
  '--refuse',
])

/** The command that repeats a run. */
export function commandOf(
  seed: number,
  options: {
    readonly keep?: readonly number[] | undefined
    readonly without?: readonly FaultGroup[]
    readonly plant?: string | undefined
    readonly store?: StoreKind | undefined
    readonly refused?: readonly KnownGap[]
  } = {},
): string {
  const { keep, without = [], plant, store, refused = [] } = options
  return [
    `pnpm --filter @slip/simulation simulate --seed ${seed}`,
    keep === undefined ? '' : ` --keep ${keep.length === 0 ? ',' : keep.join(',')}`,
    without.length === 0 ? '' : ` --without ${without.join(',')}`,
    store === undefined ? '' : ` --store ${store}`,
    plant === undefined ? '' : ` --plant ${plant}`,
    refused.length === 0
      ? ''
      : ` --refuse ${refused.length === GAP_NAMES.length ? 'all' : refused.join(',')}`,
  ].join('')
}
