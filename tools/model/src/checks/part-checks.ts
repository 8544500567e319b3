import type {
  LayersAfter,
  PrunablePartInput,
  Protocol,
  SealPartsInput,
  SealPartsVerdict,
} from '@slip/kv-core'
import type { UnitCheck } from './unit-check.ts'

const UNLISTED: PrunablePartInput = {
  part: { rank: 4n, incarnation: 'one' },
  pointer: { rank: 5n, incarnation: 'one' },
  isListed: false,
  isPointerStill: true,
  ageMs: 100,
  graceMs: 100,
}
const pruned = (rules: Protocol, change: Partial<PrunablePartInput>): boolean =>
  rules.prunablePart({ ...UNLISTED, ...change })

const inherits = (rules: Protocol, inherited: readonly string[], pointer?: readonly string[]): boolean =>
  rules.inheritsParts({ inherited, pointer })

const sealed = (
  rules: Protocol,
  found: SealPartsInput['found'],
  change: Partial<SealPartsInput>,
): SealPartsVerdict => rules.sealParts({ found, takesOver: false, isTarget: false, ...change })

const plan = (
  rules: Protocol,
  states: readonly string[],
  own: string | undefined,
  wanted: string,
): string => {
  const found: LayersAfter | undefined = rules.layersAfter({ states, own, wanted })
  return found === undefined ? 'other' : `${found.begin} ${found.skip}`
}

/** What an artifact that is published in parts may take over, be made of, and leave behind. */
export const PART_CHECKS: readonly UnitCheck[] = [
  {
    of: 'inheritsParts',
    name: 'only parts of what the pointer names are taken over, and each of them has to be one',
    holds: (rules) =>
      inherits(rules, ['a', 'b'], ['b', 'c', 'a']) &&
      !inherits(rules, ['a', 'd'], ['b', 'c', 'a']) &&
      !inherits(rules, ['d'], ['a']) &&
      !inherits(rules, ['a'], []),
  },
  {
    of: 'inheritsParts',
    name: 'without a pointer in parts nothing is taken over, and what takes nothing over may always be named',
    holds: (rules) =>
      !inherits(rules, ['a']) && inherits(rules, []) && inherits(rules, [], []) && inherits(rules, [], ['a']),
  },
  {
    of: 'prunablePart',
    name: 'what is listed stays, however old and far below it is',
    holds: (rules) => pruned(rules, {}) && !pruned(rules, { isListed: true, ageMs: Infinity }),
  },
  {
    of: 'prunablePart',
    name: 'nothing goes once the pointer moved: what it named then may be gone with its list',
    holds: (rules) => !pruned(rules, { isPointerStill: false, ageMs: Infinity }),
  },
  {
    of: 'prunablePart',
    name: 'what is not listed ranks as its payload would: strictly below the pointer, in its history or an older one, and past the grace',
    holds: (rules) =>
      !pruned(rules, { part: { rank: 5n, incarnation: 'one' } }) &&
      !pruned(rules, { part: { rank: 6n, incarnation: 'one' } }) &&
      !pruned(rules, { part: { rank: 4n, incarnation: 'two' } }) &&
      !pruned(rules, { part: { rank: undefined, incarnation: 'one' } }) &&
      !pruned(rules, { pointer: { rank: 4n, incarnation: 'one' } }) &&
      !pruned(rules, { ageMs: 99 }) &&
      pruned(rules, { ageMs: 101 }),
  },
  {
    of: 'sealParts',
    name: 'where nothing is listed a list is put, whatever it takes over',
    holds: (rules) =>
      [true, false].every((takesOver) =>
        [true, false].every((isTarget) => sealed(rules, undefined, { takesOver, isTarget }) === 'put'),
      ),
  },
  {
    of: 'sealParts',
    name: 'the same list stays, one that takes nothing over, and one that the pointer leads to',
    holds: (rules) =>
      [true, false].every(
        (takesOver) =>
          sealed(rules, { isSame: true, takesOver: true }, { takesOver }) === 'keep' &&
          sealed(rules, { isSame: false, takesOver: false }, { takesOver }) === 'keep' &&
          sealed(rules, { isSame: false, takesOver: true }, { takesOver, isTarget: true }) === 'keep',
      ),
  },
  {
    of: 'sealParts',
    name: 'one that takes parts over goes for one that does not, and for no other',
    holds: (rules) =>
      sealed(rules, { isSame: false, takesOver: true }, { takesOver: false }) === 'replace' &&
      sealed(rules, { isSame: false, takesOver: true }, { takesOver: true }) === 'rebase',
  },
  {
    of: 'layersAfter',
    name: 'without a payload of one’s own the base and all layers make what is wanted',
    holds: (rules) =>
      plan(rules, ['base'], undefined, 'base') === 'base 0' &&
      plan(rules, ['base', 'one', 'two'], undefined, 'two') === 'base 0' &&
      plan(rules, ['base', 'one', 'two'], 'else', 'two') === 'base 0',
  },
  {
    of: 'layersAfter',
    name: 'a payload that layers are laid upon takes the place of what lies below them, the last one where it comes twice',
    holds: (rules) =>
      plan(rules, ['base', 'one', 'two'], 'base', 'two') === 'own 0' &&
      plan(rules, ['base', 'one', 'two'], 'one', 'two') === 'own 1' &&
      plan(rules, ['base', 'one', 'two'], 'two', 'two') === 'own 2' &&
      plan(rules, ['base', 'one', 'base', 'two'], 'base', 'two') === 'own 2',
  },
  {
    of: 'layersAfter',
    name: 'layers that make something else than what is wanted are not applied, to nothing',
    holds: (rules) =>
      plan(rules, ['base', 'one'], undefined, 'two') === 'other' &&
      plan(rules, ['base', 'one'], 'base', 'base') === 'other' &&
      plan(rules, ['base', 'one'], 'two', 'two') === 'other' &&
      plan(rules, [], undefined, 'base') === 'other',
  },
]
