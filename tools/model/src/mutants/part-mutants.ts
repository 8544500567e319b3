import { protocol, type Protocol } from '@slip/kv-core'
import type { Mutant } from './mutant.ts'

const mutant = (name: string, changes: Partial<Protocol>): Mutant => ({ name, changes })

/** Mistakes one could make with artifacts in parts. */
export const PART_MUTANTS: readonly Mutant[] = [
  mutant('inheritsParts: what was there once is there', { inheritsParts: () => true }),
  mutant('inheritsParts: one part stands for all', {
    inheritsParts: ({ inherited, pointer }) =>
      inherited.length === 0 || inherited.some((name) => pointer?.includes(name) === true),
  }),
  mutant('inheritsParts: nothing is ever taken over', {
    inheritsParts: ({ inherited }) => inherited.length === 0,
  }),
  mutant('prunablePart: what nobody lists', { prunablePart: ({ isListed }) => !isListed }),
  mutant('prunablePart: lists are not looked at', {
    prunablePart: (input) => protocol.prunablePart({ ...input, isListed: false }),
  }),
  mutant('prunablePart: the pointer may have moved', {
    prunablePart: (input) => protocol.prunablePart({ ...input, isPointerStill: true }),
  }),
  mutant('sealParts: the last list counts', {
    sealParts: ({ found }) => (found === undefined ? 'put' : found.isSame ? 'keep' : 'replace'),
  }),
  mutant('sealParts: the first list counts', {
    sealParts: ({ found }) => (found === undefined ? 'put' : 'keep'),
  }),
  mutant('layersAfter: any payload of one’s own will do', {
    layersAfter: (input) => {
      const found = protocol.layersAfter(input)
      return found !== undefined && input.own !== undefined ? { ...found, begin: 'own' } : found
    },
  }),
  mutant('layersAfter: the first of two equal states', {
    layersAfter: (input) => {
      const found = protocol.layersAfter(input)
      return found?.begin === 'own' ? { ...found, skip: input.states.indexOf(input.own!) } : found
    },
  }),
  mutant('layersAfter: whatever the layers make', {
    layersAfter: (input) => protocol.layersAfter({ ...input, wanted: input.states.at(-1) ?? '' }),
  }),
]
