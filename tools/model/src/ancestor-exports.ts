import { protocol, type Protocol } from '@slip/kv-core'
import { configuration, type Configuration, type WrongConfiguration } from './configuration.ts'
import { ancestorModel } from './models/ancestor-model.ts'
import type { AncestorOptions } from './models/ancestor-state.ts'

/** A model of the ancestor's, and how many states it was published to have. */
export interface PublishedCount {
  readonly configuration: Configuration
  readonly rules: Protocol
  /** Unique ones. */
  readonly states: number
  /** The first state, and every state that a step led to, counted again each time. */
  readonly generated: number
  /** Steps to the farthest. */
  readonly depth: number
}

const SHIPPED = { exporters: 2, revisions: 3, transport: 'pointer', resync: 'failstop' } as const

export const ancestral = ({
  name,
  ...options
}: Partial<AncestorOptions> & Pick<AncestorOptions, 'name'>): Configuration => {
  const title = `the ancestor's exports, ${name}`
  const decisions: Configuration['uses'] = ['publish', 'prunable', 'overrun']
  return configuration(
    decisions,
    (rules) => ancestorModel({ ...SHIPPED, ...options, name: title }, rules),
    title,
  )
}

const LAST_WRITER: Protocol = { ...protocol, publish: () => 'publish' }
const BY_AGE: Protocol = {
  ...protocol,
  prunable: ({ isTarget, ageMs, graceMs }) => !isTarget && ageMs >= graceMs,
}
const CLAMPED: Protocol = { ...protocol, overrun: () => false }

const TORN = 'what an importer reads fits together'
const BACK = 'the pointer does not go back'
const DANGLING = 'the pointer resolves'
const DELETED = 'no importer ends with a deleted key'

/** Its rules of before, and those that its authors took a guard from; `steps` is how soon theirs breaks. */
export const ANCESTOR_EXPORTS: readonly (WrongConfiguration & { readonly steps: number })[] = [
  {
    configuration: ancestral({ name: 'payload and manifest overwritten', transport: 'registers' }),
    rules: protocol,
    property: TORN,
    steps: 10,
  },
  {
    configuration: ancestral({ name: 'the manifest overwritten', transport: 'registers', asks: [BACK] }),
    rules: protocol,
    property: BACK,
    steps: 11,
  },
  {
    configuration: ancestral({
      name: 'a repair that fails unnoticed',
      transport: 'registers',
      resync: 'degrade',
      asks: [DELETED],
    }),
    rules: protocol,
    property: DELETED,
    steps: 11,
  },
  {
    configuration: ancestral({ name: 'no repair', resync: 'none' }),
    rules: protocol,
    property: DELETED,
    steps: 11,
  },
  {
    configuration: ancestral({ name: 'the last one who publishes wins' }),
    rules: LAST_WRITER,
    property: BACK,
    steps: 11,
  },
  {
    configuration: ancestral({ name: 'pruned by age alone' }),
    rules: BY_AGE,
    property: DANGLING,
    steps: 16,
  },
  {
    configuration: ancestral({ name: 'a cursor below the floor is resumed' }),
    rules: CLAMPED,
    property: DELETED,
    steps: 11,
  },
]

const counted = (
  options: Parameters<typeof ancestral>[0],
  [states, generated, depth]: readonly [states: number, generated: number, depth: number],
  rules: Protocol = protocol,
): PublishedCount => ({ configuration: ancestral(options), rules, states, generated, depth })

/** Every state, whatever is wrong. */
const ALL = { asks: [] } as const
const REGISTERS = { transport: 'registers' } as const

export const SHIPPED_COUNT: PublishedCount = counted({ name: 'as shipped' }, [827_924, 4_205_445, 40])
export const SMALL_COUNT: PublishedCount = counted(
  { name: 'two writes', revisions: 2 },
  [28_500, 117_521, 27],
)

/** A table of the same system by another explorer, of another maker: ours has to count what it did. */
export const PUBLISHED_COUNTS: readonly PublishedCount[] = [
  SMALL_COUNT,
  SHIPPED_COUNT,
  counted({ name: 'no repair, all states', resync: 'none', ...ALL }, [857_162, 4_321_235, 40]),
  counted({ name: 'registers, all states', ...REGISTERS, ...ALL }, [389_801, 1_879_755, 37]),
  counted(
    { name: 'registers, a repair that fails, all states', ...REGISTERS, resync: 'degrade', ...ALL },
    [403_847, 1_970_819, 37],
  ),
  counted(
    { name: 'registers, no repair, all states', ...REGISTERS, resync: 'none', ...ALL },
    [403_847, 1_931_243, 37],
  ),
  counted({ name: 'the last publisher, all states', ...ALL }, [959_400, 4_655_877, 40], LAST_WRITER),
  counted({ name: 'pruned by age, all states', ...ALL }, [1_055_462, 5_206_949, 40], BY_AGE),
  counted({ name: 'resumed below the floor, all states', ...ALL }, [857_162, 4_321_235, 40], CLAMPED),
]

/** Gigabytes, and many minutes: `explore deep`. */
export const DEEP_COUNTS: readonly PublishedCount[] = [
  counted({ name: 'deep, four writes', revisions: 4 }, [13_451_899, 76_555_205, 50]),
  counted({ name: 'deep, five writes', revisions: 5 }, [154_015_987, 937_855_043, 60]),
  counted({ name: 'deep, three exporters', exporters: 3 }, [95_006_467, 668_476_641, 53]),
  counted(
    { name: 'deep, registers, three exporters', exporters: 3, ...REGISTERS, ...ALL },
    [25_333_373, 168_192_027, 42],
  ),
]
