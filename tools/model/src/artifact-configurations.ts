import { protocol, type Protocol } from '@slip/kv-core'
import { configuration, type Configuration, type WrongConfiguration } from './configuration.ts'
import { artifactsModel } from './models/artifacts-model.ts'
import type { ArtifactsOptions } from './models/artifacts-state.ts'

const DECISIONS: readonly (keyof Protocol)[] = ['publish', 'prunable', 'admitArtifact', 'attach', 'overrun']
const RESOLVES = 'the pointer resolves'
const BACK = 'the pointer does not go back'
const NEWEST = 'at rest the pointer names the newest of the bucket'
const MISSES = 'a payload is pruned before it is fetched'

export const publishing = ({
  name,
  ...options
}: Partial<ArtifactsOptions> & Pick<ArtifactsOptions, 'name'>): Configuration => {
  const title = `artifacts, ${name}`
  const all = { publishers: 2, revisions: [2], ...options, name: title }
  return configuration(DECISIONS, (rules) => artifactsModel(all, rules), title)
}

/** One write of the old history, one of the new. */
const brief = { revisions: [1, 1] } as const
const two = { revisions: [2, 1] } as const

export const SMALL_ARTIFACTS: readonly Configuration[] = [
  publishing({ name: 'one history' }),
  publishing({ name: 'recreated', ...brief }),
  publishing({ name: 'recreated, two writes', ...two, crashes: false }),
  publishing({ name: 'recreated, nobody asks', ...brief, asksSource: 'never' }),
  publishing({ name: 'recreated, only the source knows', ...brief, histories: 'named', except: [MISSES] }),
  publishing({
    name: 'recreated, newcomers that know',
    ...brief,
    histories: 'named',
    informed: true,
    except: [MISSES],
  }),
]

export const MEDIUM_ARTIFACTS: readonly Configuration[] = [
  publishing({ name: 'a bounded log', bounded: true }),
  publishing({ name: 'recreated, nobody asks, two writes', ...two, asksSource: 'never' }),
  publishing({ name: 'recreated, answers are lost', ...two, lostAnswers: true, crashes: false }),
]

export const LARGE_ARTIFACTS: readonly Configuration[] = [
  publishing({ name: 'recreated, a bounded log', ...two, bounded: true }),
  publishing({
    name: 'recreated, only the source knows, answers are lost',
    ...two,
    histories: 'named',
    lostAnswers: true,
  }),
  publishing({ name: 'three publishers', publishers: 3 }),
  publishing({ name: 'three writes, a bounded log', revisions: [3], bounded: true }),
  publishing({ name: 'two writes in each history', revisions: [2, 2], lostAnswers: true }),
]

export const WRONG_ARTIFACTS: readonly WrongConfiguration[] = [
  {
    configuration: publishing({ name: 'a pointer is moved from wherever it is', compares: false }),
    rules: protocol,
    property: BACK,
  },
  {
    configuration: publishing({ name: 'the pointer before the payload', sendsFirst: 'pointer' }),
    rules: protocol,
    property: RESOLVES,
  },
  {
    configuration: publishing({
      name: 'payloads named by their rank alone',
      ...brief,
      payloadsNamedBy: 'rank',
    }),
    rules: protocol,
    property: RESOLVES,
  },
  {
    configuration: publishing({
      name: 'the source is asked before the pointer',
      ...brief,
      asksSource: 'before',
    }),
    rules: protocol,
    property: BACK,
  },
  {
    configuration: publishing({ name: 'histories are not told apart', ...two }),
    rules: {
      ...protocol,
      publish: ({ candidate, pointer }) =>
        protocol.publish({
          candidate: { ...candidate, binding: undefined },
          pointer: pointer && { ...pointer, binding: undefined },
          source: undefined,
        }),
    },
    property: BACK,
  },
  {
    configuration: publishing({ name: 'pruned by age alone' }),
    rules: { ...protocol, prunable: ({ isTarget, ageMs, graceMs }) => !isTarget && ageMs >= graceMs },
    property: RESOLVES,
  },
  {
    configuration: publishing({ name: 'pruned by rank, whatever the history', ...two }),
    rules: {
      ...protocol,
      prunable: ({ payload, pointer, ...rest }) =>
        protocol.prunable({
          ...rest,
          payload: { ...payload, incarnation: undefined },
          pointer: { ...pointer, incarnation: undefined },
        }),
    },
    property: RESOLVES,
  },
  {
    configuration: publishing({ name: 'an import goes on whatever the bucket says', bounded: true }),
    rules: { ...protocol, attach: () => ({ action: 'resume' }) },
    property: 'nobody goes on to a fold that differs from the bucket',
  },
  {
    configuration: publishing({ name: 'an import goes on in any history', ...brief }),
    rules: { ...protocol, attach: () => ({ action: 'resume' }) },
    property: 'nobody goes on from another history',
  },
]

const UNSTATED = { ...two, histories: 'unstated', crashes: false } as const

/** What our own rules do not reach: interchange artifacts do not say of which history they are. */
export const ARTIFACT_LIMITS: readonly WrongConfiguration[] = [
  {
    configuration: publishing({
      name: 'an old history that is not stated, and its bucket came as far again',
      ...UNSTATED,
    }),
    rules: protocol,
    property: BACK,
  },
  {
    configuration: publishing({
      name: 'a pointer that only the source lets go back, and who prunes by what it named before',
      ...UNSTATED,
      except: [BACK, NEWEST],
    }),
    rules: protocol,
    property: RESOLVES,
  },
  {
    configuration: publishing({
      name: 'two histories that nobody can order, and no source',
      ...brief,
      histories: 'named',
      asksSource: 'never',
    }),
    rules: protocol,
    property: NEWEST,
  },
]
