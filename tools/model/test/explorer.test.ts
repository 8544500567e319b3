import { explore, Layout, traceTable, type Exploration, type Model } from '@slip/model'
import { describe, expect, test } from 'vitest'
import { countNaively } from './examples/naive.ts'
import { philosophers, tables } from './examples/philosophers.ts'
import { twoPhaseCommit } from './examples/two-phase-commit.ts'

const withoutTerminal = <M extends object>(model: M): M => ({ ...model, terminal: {} })

describe('known counts', () => {
  test.each([2, 3, 5, 8, 12])('%i dining philosophers', (count) => {
    const found = explore(withoutTerminal(philosophers(count)))
    expect(found.violation).toBeUndefined()
    expect(found.complete).toBe(true)
    expect(found.states).toBe(tables(count))
    expect(found.terminals).toBe(1)
  })

  test.each([
    [3, 288],
    [5, 8_832],
  ])('two-phase commit of %i resource managers', (managers, states) => {
    const found = explore(twoPhaseCommit(managers))
    expect(found.violation).toBeUndefined()
    expect(found.states).toBe(states)
  })
})

const counted = ({
  states,
  transitions,
  depth,
  terminals,
}: Exploration): ReturnType<typeof countNaively> => ({
  states,
  transitions,
  depth,
  terminals,
})

test('counts as a set of strings does', () => {
  const table = withoutTerminal(philosophers(6))
  expect(counted(explore(table))).toEqual(countNaively(table))
  expect(counted(explore(twoPhaseCommit(4)))).toEqual(countNaively(twoPhaseCommit(4)))
})

test('the deadlock of the philosophers is found by the shortest way, and printed', () => {
  const { violation } = explore(philosophers(3))
  expect(violation).toMatchObject({ kind: 'terminal', property: 'nobody waits' })
  expect(traceTable(violation!.trace)).toBe(
    [
      'step  action        who',
      '0     (start)       TTT',
      '1     0 takes left  LTT',
      '2     1 takes left  LLT',
      '3     2 takes left  LLL',
    ].join('\n'),
  )
})

/** Counts to `top`, one at a time or by two. */
const counter = (top: number, more: Partial<Model<{ n: number }>>): Model<{ n: number }> => ({
  name: 'counter',
  layout: new Layout({ n: top + 1 }),
  actions: [1, 2].map((by) => ({
    name: `add ${by}`,
    step: (s) => {
      if (s.n + by > top) return false
      s.n += by
      return true
    },
  })),
  columns: { n: (s) => s.n },
  ...more,
})

describe('verdicts', () => {
  test('a state that breaks `always` is reached in as few steps as can be', () => {
    const { violation } = explore(counter(9, { always: { 'below 7': (s) => s.n < 7 } }))
    expect(violation).toMatchObject({ kind: 'always', property: 'below 7' })
    expect(violation!.trace.map(({ cells }) => cells['n'])).toHaveLength(5)
    expect(violation!.trace.at(-1)!.cells['n']).toBe(7)
  })

  test('what is never witnessed is a violation, and not judged before every state was seen', () => {
    const model = counter(9, { sometimes: { ten: (s) => s.n === 10 } })
    expect(explore(model).violation).toMatchObject({ kind: 'sometimes', property: 'ten' })
    expect(explore(model, { maxStates: 3 })).toMatchObject({ complete: false, violation: undefined })
  })

  test('a step that throws, or leaves the range of a field, is a violation', () => {
    const bad = counter(9, {
      actions: [
        {
          name: 'leap',
          step: (s) => {
            s.n = 17
            return true
          },
        },
      ],
    })
    expect(explore(bad).violation).toMatchObject({
      kind: 'defined',
      property: expect.stringContaining('leap'),
    })
  })

  test('a system that goes round for ever does not settle; what the environment may do is no rest for it', () => {
    const round = (environment: boolean): Model<{ n: number }> => ({
      name: 'round',
      layout: new Layout({ n: 3 }),
      settles: true,
      actions: [
        {
          name: 'turn',
          environment,
          step: (s) => {
            s.n = (s.n + 1) % 3
            return true
          },
        },
      ],
      columns: { n: (s) => s.n },
    })
    expect(explore(round(false)).violation).toMatchObject({ kind: 'settles' })
    const quiet = explore(round(true))
    expect(quiet.violation).toBeUndefined()
    expect(quiet.terminals).toBe(3)
  })

  test('a step to the same state is no way out of a state at rest', () => {
    const model = counter(3, {
      terminal: { never: () => false },
      actions: [{ name: 'stay', step: () => true }],
    })
    expect(explore(model).violation).toMatchObject({ kind: 'terminal' })
  })
})

describe('a layout', () => {
  test('keeps fields apart, in as many words as they need', () => {
    const layout = new Layout({ a: 2 ** 20, row: [5, 100], b: 2 ** 12, one: 1 })
    const state = layout.state()
    expect(layout.words).toBe(3)
    expect(layout.bits).toBe(20 + 5 * 7 + 12)
    state.a = 2 ** 20 - 1
    state.b = 2 ** 12 - 1
    for (let i = 0; i < 5; i++) state.row.set(i, 95 + i)
    expect([state.a, state.b, state.one]).toEqual([2 ** 20 - 1, 2 ** 12 - 1, 0])
    expect([0, 1, 2, 3, 4].map((i) => state.row.at(i))).toEqual([95, 96, 97, 98, 99])
    state.row.set(2, 0)
    state.a = 0
    expect([0, 1, 2, 3, 4].map((i) => state.row.at(i))).toEqual([95, 96, 0, 98, 99])
    expect(state.b).toBe(2 ** 12 - 1)
  })

  test('refuses a value outside a field, in a row too', () => {
    const state = new Layout({ n: 3, row: [2, 3] }).state()
    expect(() => (state.n = 3)).toThrow(RangeError)
    expect(() => (state.n = -1)).toThrow(RangeError)
    expect(() => state.row.set(1, 3)).toThrow(RangeError)
    expect(() => new Layout({ n: 0 })).toThrow(RangeError)
  })
})

test('a million states are numbered apart, by both of their words', () => {
  const layout = new Layout({ a: 2 ** 30, b: 2 ** 30 })
  const found = explore({
    name: 'grid',
    layout,
    actions: [
      {
        name: 'right',
        step: (s) => {
          if (s.a === 1023) return false
          s.a++
          return true
        },
      },
      {
        name: 'up',
        step: (s) => {
          if (s.b === 1023) return false
          s.b++
          return true
        },
      },
    ],
    columns: {},
  })
  expect(found).toMatchObject({ states: 2 ** 20, transitions: 2 * 1023 * 1024, depth: 2046, terminals: 1 })
})
