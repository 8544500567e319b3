import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { protocol, type Protocol } from '@slip/kv-core'
import { artifactsModel, ArtifactsShape, type ArtifactsOptions, type ArtifactsState } from '@slip/model'
import { expect, test } from 'vitest'
import { shelved } from './replay/artifact-shelf.ts'
import { ReplayFleet, type FleetAbstraction } from './replay/replay-fleet.ts'
import { takeWalk } from './replay/take-walk.ts'
import { walks } from './replay/walk.ts'

const CALLS = ['', 'payload', 'pointer read', 'source asked', 'pointer moved', 'payload', '']
const JUDGED = 4
const AWAITED = ['', 'payload', 'pointer read', '', '', '', '', '']

/** What the model says of the same things. */
function expected(shape: ArtifactsShape, s: ArtifactsState, rules: Protocol): FleetAbstraction {
  const there = shape.artifacts.filter((artifact) => s.payloads.at(artifact - 1) === 1)
  const callOf = (n: number): string => {
    const held = shape.held(s, n)
    if (s.publisher.at(n) !== JUDGED || s.seen.at(n) !== held) return CALLS[s.publisher.at(n)]!
    // A pointer that is there already is not moved: only the payload is left to send, if that.
    const position = shape.position(held)
    const told = rules.publish({ candidate: position, pointer: position, source: undefined }) !== 'publish'
    return told ? 'payload' : ''
  }
  return {
    ...Object.fromEntries(shape.publishers.map((n) => [`p${n}`, callOf(n)])),
    newcomer: AWAITED[s.newcomer]!,
    pointer: s.pointer === 0 ? [] : [shape.show(s.pointer)],
    payloads: there.map((artifact) => shape.show(artifact)),
    objects: String(there.length + (s.pointer === 0 ? 0 : 1)),
  }
}

/** Takes one of so many walks. */
async function replayed(
  options: ArtifactsOptions,
  { oneOf = 1, rules = protocol }: { readonly oneOf?: number; readonly rules?: Protocol } = {},
): Promise<{ edges: number; steps: number }> {
  const root = await mkdtemp(join(tmpdir(), 'slip-replay-'))
  try {
    const shape = new ArtifactsShape(options)
    const model = artifactsModel(options, rules)
    const mayPrune = (state: ArtifactsState, artifact: number): boolean => {
      const copy = model.layout.state()
      copy.words.set(state.words)
      return model.actions.find(({ name }) => name === `prune ${shape.show(artifact)}`)!.step(copy)
    }
    const fleet = new ReplayFleet(shape, await shelved(shape, root), root, mayPrune)
    const taken = new Set<string>()
    let steps = 0
    for (const walk of walks(model).filter((_, index) => index % oneOf === 0)) {
      await fleet.reset()
      await takeWalk(model, walk, model.layout.state(), {
        take: (...step) => fleet.take(...step),
        abstraction: () => fleet.abstraction(),
        expected: (next) => expected(shape, next, rules),
      })
      for (const { from, action } of walk) taken.add(`${from} ${action}`)
      steps += walk.length
    }
    await fleet.reset()
    return { edges: taken.size, steps }
  } finally {
    await rm(root, { recursive: true, force: true })
  }
}

interface Replay {
  readonly options: ArtifactsOptions
  /** One of so many walks is taken; with `SLIP_REPLAY=full` one of `full`. */
  readonly oneOf: number
  readonly full: number
}

const brief = { publishers: 2, revisions: [1, 1], crashes: false } as const

const REPLAYS: readonly Replay[] = [
  {
    options: { name: 'two publishers', publishers: 2, revisions: [1], lostAnswers: true },
    oneOf: 120,
    full: 1,
  },
  {
    options: { name: 'recreated', publishers: 1, revisions: [1, 1], informed: true },
    oneOf: 12,
    full: 1,
  },
  { options: { name: 'two writes', publishers: 1, revisions: [2] }, oneOf: 12, full: 1 },
  { options: { name: 'two publishers, recreated', ...brief }, oneOf: 1000, full: 50 },
  { options: { name: 'only the source knows', ...brief, histories: 'named' }, oneOf: 1000, full: 50 },
]

test.each(REPLAYS)(
  'the code takes the steps of: $options.name',
  { timeout: 3_600_000 },
  async ({ options, oneOf, full }) => {
    const startedMs = performance.now()
    const all = process.env['SLIP_REPLAY'] === 'full'
    const { edges, steps } = await replayed(options, { oneOf: all ? full : oneOf })
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
    process.stdout.write(`${options.name}: ${edges} edges in ${steps} steps, ${seconds} s\n`)
    expect(edges).toBeGreaterThan(100)
  },
)

test('a model with other rules than the code is told from it', { timeout: 600_000 }, async () => {
  const options = { name: 'other rules', publishers: 1, revisions: [1] } as const
  const publish: Protocol = { ...protocol, publish: () => 'superseded' }
  await expect(replayed(options, { rules: publish })).rejects.toThrow('to deeply equal')
  const admit: Protocol = { ...protocol, admitArtifact: () => 'otherBucket' }
  await expect(replayed(options, { rules: admit })).rejects.toThrow('admitted otherwise')
})
