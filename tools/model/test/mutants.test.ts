import { protocol } from '@slip/kv-core'
import {
  EQUIVALENT,
  generatedMutants,
  HAND_WRITTEN,
  judge,
  mutationsOf,
  SMALL,
  UNIT_CHECKS,
  type Mutant,
} from '@slip/model'
import { expect, test } from 'vitest'

const generated = await generatedMutants()

const survivors = (mutants: readonly Mutant[], first: 'models' | 'checks'): string[] =>
  mutants.filter((mutant) => judge(mutant, SMALL, first).killedBy === undefined).map(({ name }) => name)

test.each(UNIT_CHECKS.map((each) => [each.of, each.name, each] as const))(
  '%s: %s',
  (_of, _name, { holds }) => {
    expect(holds(protocol)).toBe(true)
  },
)

test('every mistake that was thought of is found', { timeout: 600_000 }, () => {
  expect(survivors(HAND_WRITTEN, 'models')).toEqual([])
})

test('there is one for every decision of the table', () => {
  const changed = new Set(HAND_WRITTEN.flatMap(({ changes }) => Object.keys(changes)))
  expect([...changed].sort()).toEqual(Object.keys(protocol).sort())
})

test('every change of a kernel is found, but for those that change nothing', { timeout: 600_000 }, () => {
  expect(generated.length).toBeGreaterThan(150)
  expect(new Set(generated.map(({ name }) => name)).size).toBe(generated.length)
  expect(survivors(generated, 'checks').sort()).toEqual(Object.keys(EQUIVALENT).sort())
})

test('each kernel of the table is changed', () => {
  const changed = new Set(generated.flatMap(({ changes }) => Object.keys(changes)))
  const decisions = Object.keys(protocol).filter((name) => !['afterReopen', 'proofOfLife'].includes(name))
  expect([...changed].sort()).toEqual(expect.arrayContaining(decisions.sort()))
})

test('an unchanged table survives: nothing objects to it', () => {
  const { killedBy } = judge({ name: 'nothing', changes: { ...protocol } }, SMALL, 'checks')
  expect(killedBy).toBeUndefined()
})

const changesOf = (line: string): string[] => mutationsOf(`${line}\n`).map((each) => each.line)

test('comparisons are flipped and moved by one', () => {
  expect(changesOf('return a > b;')).toEqual(['return a >= b;', 'return a <= b;'])
  expect(changesOf('return a !== b;')).toEqual(['return a === b;'])
})

test('either side of `&&` and `||` is dropped, whole', () => {
  expect(changesOf('const x = f(a, b) && c.d || !e;')).toEqual([
    'const x = c.d || !e;',
    'const x = f(a, b) || !e;',
    'const x = !e;',
    'const x = f(a, b) && c.d ;',
  ])
  expect(changesOf('return (a || b) && c ? 0 : e;')).toContain('return (a || b) ? 0 : e;')
})

test('numbers are moved by one; strings and comments are left alone', () => {
  expect(changesOf('return 0xffn; // 1 < 2')).toEqual(['return 254n; // 1 < 2', 'return 256n; // 1 < 2'])
  expect(changesOf("return 'a > 1';")).toEqual([])
  expect(changesOf('return 0;')).toEqual(['return 1;'])
})
