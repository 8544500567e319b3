import { protocol, type Protocol } from '@slip/kv-core'
import { configuration, type Configuration, type WrongConfiguration } from './configuration.ts'
import { partsModel } from './models/parts-model.ts'
import type { PartsOptions } from './models/parts-state.ts'

const DECISIONS: readonly (keyof Protocol)[] = [
  'publish',
  'prunable',
  'prunablePart',
  'inheritsParts',
  'layersAfter',
  'sealParts',
]
const RESOLVES = 'the pointer resolves to all its parts'

const inParts = ({ name, ...options }: Partial<PartsOptions> & Pick<PartsOptions, 'name'>): Configuration => {
  const title = `parts, ${name}`
  const all = { publishers: 2, revisions: [2], ...options, name: title }
  return configuration(DECISIONS, (rules) => partsModel(all, rules), title)
}

const quick = { slowPruner: false, crashes: false } as const
const publishing = { ...quick, newcomer: false } as const
const twins = { ...publishing, twins: true, revisions: [3] } as const

export const SMALL_PARTS: readonly Configuration[] = [
  inParts({ name: 'one history', ...quick }),
  inParts({ name: 'who prunes slowly', ...publishing, slowPruner: true }),
  inParts({ name: 'one manifest of two', ...twins }),
  inParts({ name: 'recreated', ...publishing, revisions: [1, 1], crashes: true }),
  inParts({
    name: 'recreated, only the source knows',
    ...publishing,
    revisions: [1, 1],
    histories: 'named',
    crashes: true,
    except: ['a pointer has layers', 'what was laid upon is there no more'],
  }),
]

export const MEDIUM_PARTS: readonly Configuration[] = [
  inParts({ name: 'one manifest of two, who prunes slowly', ...twins, slowPruner: true }),
  inParts({ name: 'three publishers', ...publishing, publishers: 3 }),
]

export const LARGE_PARTS: readonly Configuration[] = [
  inParts({ name: 'one history, all that may happen' }),
  inParts({ name: 'one manifest of two, a newcomer', ...twins, newcomer: true }),
  inParts({ name: 'recreated, a newcomer', slowPruner: false, revisions: [1, 1] }),
]

export const DEEP_PARTS: readonly Configuration[] = [
  inParts({ name: 'one manifest of three, deep', ...twins, publishers: 3 }),
]

const wrong = (
  configured: Configuration,
  changes: Partial<Protocol>,
  property = RESOLVES,
): WrongConfiguration => ({
  configuration: configured,
  rules: { ...protocol, ...changes },
  property,
})

export const WRONG_PARTS: readonly WrongConfiguration[] = [
  wrong(inParts({ name: 'what was there once is taken over', ...quick }), { inheritsParts: () => true }),
  wrong(inParts({ name: 'pruned whatever its rank', ...quick }), {
    prunablePart: ({ isListed, isPointerStill }) => isPointerStill && !isListed,
  }),
  wrong(inParts({ name: 'pruned whoever lists it', ...quick }), {
    prunablePart: (input) => protocol.prunablePart({ ...input, isListed: false }),
  }),
  wrong(
    inParts({ name: 'layers upon whatever is here', ...quick }),
    {
      layersAfter: (input) => {
        const found = protocol.layersAfter(input)
        return found !== undefined && input.own !== undefined ? { ...found, begin: 'own' } : found
      },
    },
    'what is made of what was here is what is wanted',
  ),
  wrong(inParts({ name: 'the last list of one manifest counts', ...twins }), {
    sealParts: ({ found }) => (found === undefined ? 'put' : found.isSame ? 'keep' : 'replace'),
  }),
  wrong(inParts({ name: 'the first list of one manifest counts', ...twins }), {
    sealParts: ({ found }) => (found === undefined ? 'put' : 'keep'),
  }),
  wrong(inParts({ name: 'a base forgets what was listed in its place', ...twins, keeps: false }), {}),
  wrong(
    inParts({ name: 'what is only kept is taken over', ...publishing, publishers: 3, inheritsKept: true }),
    {},
  ),
  wrong(
    inParts({
      name: 'who prunes gives up only when what the pointer named is gone',
      ...twins,
      slowPruner: true,
      givesUp: 'gone',
    }),
    {},
  ),
  wrong(
    inParts({ name: 'who prunes does not look again', ...twins, slowPruner: true, givesUp: 'never' }),
    {},
  ),
]
