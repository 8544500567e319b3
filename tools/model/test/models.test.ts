import { protocol } from '@slip/kv-core'
import {
  ANCESTOR,
  ANCESTOR_EXPORTS,
  ancestorModel,
  artifactsModel,
  attachModel,
  countModel,
  flushModel,
  HAZARDS,
  LIMITS,
  listingModel,
  MEDIUM,
  openersModel,
  partsModel,
  resyncModel,
  SHIPPED_COUNT,
  SMALL,
  SMALL_COUNT,
  watchModel,
  WRONG_RULES,
  explore,
  traceTable,
  type Exploration,
  type Fields,
  type Model,
} from '@slip/model'
import { describe, expect, test } from 'vitest'
import { countNaively } from './examples/naive.ts'

const failure = ({ violation }: Exploration): string =>
  violation === undefined ? '' : `${violation.kind}: ${violation.property}\n${traceTable(violation.trace)}`

let visited = 0

test.each([...SMALL, ...MEDIUM])('$name', (configuration) => {
  const found = configuration.explore(protocol)
  expect(failure(found)).toBe('')
  expect(found.complete).toBe(true)
  visited += found.states
})

test('together they have more than a million states', () => {
  expect(visited).toBeGreaterThan(1_000_000)
})

/**
 * Decisions about what no model has: the checks hold them, and what a repair makes of its decisions is shown by
 * the schedules of kv-core's `restore-schedules.test.ts`.
 */
const WITHOUT_MODEL = ['mayRestore', 'restoreKey', 'lease', 'isPublished', 'replacedForMs']

test.each([SMALL_COUNT, SHIPPED_COUNT])(
  '$configuration.name: as many states as another explorer found',
  { timeout: 120_000 },
  ({ configuration, rules, ...counted }) => {
    const { states, transitions, depth, violation } = configuration.explore(rules)
    expect(violation).toBeUndefined()
    expect({ states, generated: transitions + 1, depth }).toEqual(counted)
  },
)

test('every decision of the table is asked for by a model', () => {
  const used = new Set([...WITHOUT_MODEL, ...SMALL.flatMap(({ uses }) => uses)])
  expect([...used].sort()).toEqual(Object.keys(protocol).sort())
})

describe('must fail', () => {
  test('there is one for each of H1 to H11', () => {
    expect(HAZARDS.map(({ id }) => id)).toEqual(Array.from({ length: 11 }, (_, i) => `H${i + 1}`))
  })

  test.each([...ANCESTOR, ...WRONG_RULES, ...LIMITS].map((each) => [each.configuration.name, each] as const))(
    '%s',
    (_name, { configuration, rules, property }) => {
      const { violation } = configuration.explore(rules)
      expect(violation?.property).toBe(property)
      expect(violation!.trace.length).toBeGreaterThan(1)
    },
  )
})

test.each(ANCESTOR_EXPORTS)(
  'breaks as soon as another explorer found: $configuration.name',
  ({ configuration, rules, property, steps }) => {
    const { violation } = configuration.explore(rules)
    expect(violation).toMatchObject({ kind: 'always', property })
    expect(violation!.trace).toHaveLength(steps + 1)
  },
)

test('a plain second explorer counts the same', { timeout: 300_000 }, () => {
  const same = <F extends Fields>(model: Model<F>): void => {
    const { states, transitions, depth, terminals } = explore(model)
    expect({ states, transitions, depth, terminals }, model.name).toEqual(countNaively(model))
  }
  const two = { keys: 2, revisions: 3 } as const
  same(attachModel({ name: 'attach', ...two, eras: 2, faults: ['recreate', 'purge'], gap: true }, protocol))
  same(attachModel({ name: 'rollback', ...two, eras: 2, faults: ['rollback'] }, protocol))
  same(watchModel({ name: 'watch', ...two, retention: true }, protocol))
  same(flushModel({ name: 'flush', updates: 3, durability: 'synced', damage: true, aborts: true }, protocol))
  same(countModel({ name: 'count', keys: 2, revisions: 5, removals: 1, rewrites: 1 }, protocol))
  same(
    ancestorModel(
      { name: 'exports', exporters: 2, revisions: 1, transport: 'pointer', resync: 'failstop' },
      protocol,
    ),
  )
  same(artifactsModel({ name: 'artifacts', publishers: 1, revisions: [1, 1] }, protocol))
  same(partsModel({ name: 'parts', publishers: 2, revisions: [2], crashes: false }, protocol))
  same(openersModel({ name: 'openers', commits: 3, openers: 1, opens: 2 }, protocol))
  same(listingModel({ name: 'listing', ...two }, protocol))
  same(resyncModel({ name: 'resync', ...two, discards: 1 }, protocol))
})
