import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { protocol, type Protocol } from '@slip/kv-core'
import { explore, partsModel, PartsShape, type PartsOptions, type PartsState } from '@slip/model'
import { expect, test } from 'vitest'
import { shelvedParts } from './replay/parts-shelf.ts'
import { BROUGHT, expectedParts, LOOKED, ReplayParts } from './replay/replay-parts.ts'

type PartsModel = ReturnType<typeof partsModel>

const SEED = Number(process.env['SLIP_SEED'] ?? 20_261_126)
const FULL = process.env['SLIP_REPLAY'] === 'full'
/** `publishArtifact` gives up behind eight swaps, and a download behind five pointers. */
const MOST_LOOKS = 5
const MOST_POINTERS = 3

/** A small repeatable random source. */
function seeded(seed: number): (below: number) => number {
  let state = seed >>> 0
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

/** Steps of the model that the code takes as well: what its limits or its sizes keep it from is passed over. */
class Course {
  readonly #shape: PartsShape
  readonly #looks: number[]
  /** What was listed where a publisher looked again: that is what it lays upon. */
  readonly #listed: (number | undefined)[]
  #pointers = 0

  constructor(shape: PartsShape) {
    this.#shape = shape
    this.#looks = shape.publishers.map(() => 0)
    this.#listed = shape.publishers.map(() => undefined)
  }

  allows(action: string, s: PartsState): boolean {
    const [, number, step] = /^p(\d) (.*)$/.exec(action) ?? []
    const n = Number(number)
    // 32 layers lie upon a base before one takes the place of all.
    if (step === 'lays a layer for all') return false
    if (step === 'lays a layer' || step === 'lays a base')
      return this.#listed[n] === undefined || this.#listed[n] === this.#listOfSeen(s, n)
    if (step === 'looks again') return this.#looks[n]! < MOST_LOOKS
    if (action === 'the newcomer reads the pointer') return this.#pointers < MOST_POINTERS
    const [, shown] = /^begin to prune (.*)$/.exec(action) ?? []
    // What is not there nobody begins to prune.
    return (
      shown === undefined ||
      this.#shape.lists.parts.some((_, x) => s.parts.at(x) === 1 && this.#shape.lists.showPart(x) === shown)
    )
  }

  took(action: string, after: PartsState): void {
    const [, number, step] = /^p(\d) (.*)$/.exec(action) ?? []
    const n = Number(number)
    if (step === 'exports' || step === 'crashes') {
      this.#looks[n] = 0
      this.#listed[n] = undefined
    } else if (step === 'looks again') {
      this.#looks[n]!++
      this.#listed[n] = after.publisher.at(n) === LOOKED ? this.#listOfSeen(after, n) : undefined
    }
    if (action === 'the newcomer reads the pointer') this.#pointers++
    if (/^the newcomer (crashes|wants|loses)/.test(action)) this.#pointers = 0
  }

  #listOfSeen(s: PartsState, n: number): number {
    return s.seen.at(n) === 0 ? 0 : s.archives.at(s.seen.at(n) - 1)
  }
}

function taken(model: PartsModel, state: PartsState, action: number): PartsState | undefined {
  const next = model.layout.state()
  next.words.set(state.words)
  return model.actions[action]!.step(next) ? next : undefined
}

/** Which of the next steps of the model the code is let take, one after the other; undefined at the end. */
type Choose = (possible: readonly number[], at: number) => number | undefined

class Replay {
  readonly model: PartsModel
  readonly shape: PartsShape
  readonly real: ReplayParts
  readonly actions = new Set<string>()
  steps = 0

  constructor(model: PartsModel, shape: PartsShape, real: ReplayParts) {
    this.model = model
    this.shape = shape
    this.real = real
  }

  /** Walks from the first state, and compares behind each step; gives how many were taken. */
  async walk(choose: Choose): Promise<number> {
    await this.real.reset()
    const course = new Course(this.shape)
    const trace: string[] = []
    let state = this.model.layout.state()
    for (;;) {
      const possible = this.model.actions.flatMap((action, i) =>
        course.allows(action.name, state) && taken(this.model, state, i) !== undefined ? [i] : [],
      )
      const chosen = choose(possible, trace.length)
      if (chosen === undefined || !possible.includes(chosen)) return trace.length
      const { name } = this.model.actions[chosen]!
      const next = taken(this.model, state, chosen)!
      trace.push(name)
      await this.real.take(name, state, next).catch((error: unknown) => {
        throw new Error(`${String(error)} after: ${trace.join(', ')}`, { cause: error })
      })
      expect(this.real.abstraction(), trace.join(', ')).toEqual(expectedParts(this.shape, next))
      // What the code has now is what the model says, so that this is asked of the code.
      for (const [property, holds] of Object.entries(this.model.always ?? {}))
        if (!holds(next)) throw new Error(`not so: ${property}; after: ${trace.join(', ')}`)
      course.took(name, next)
      await this.#mustPruneAlike(next, trace)
      this.actions.add(name)
      this.steps++
      state = next
    }
  }

  /** What the code would delete is what the model lets be deleted. */
  async #mustPruneAlike(state: PartsState, trace: readonly string[]): Promise<void> {
    const { lists, artifacts } = this.shape
    const mayGo = (shown: string): boolean => {
      const action = this.model.actions.findIndex(({ name }) => name === `prune ${shown}`)
      return taken(this.model, state, action) !== undefined
    }
    const told = lists.parts.flatMap((_, part) => (mayGo(lists.showPart(part)) ? [part] : []))
    const found = await this.real.pruning.deletable()
    expect(found, `parts that may be pruned after: ${trace.join(', ')}`).toEqual(told)
    for (const artifact of artifacts.filter((each) => state.archives.at(each - 1) > 0))
      expect(
        await this.real.pruning.goes(artifact),
        `whether ${this.shape.show(artifact)} may be pruned after: ${trace.join(', ')}`,
      ).toBe(mayGo(this.shape.show(artifact)))
  }
}

async function replaying<R>(
  options: PartsOptions,
  rules: Protocol,
  work: (replay: Replay) => Promise<R>,
): Promise<R> {
  const root = await mkdtemp(join(tmpdir(), 'slip-replay-'))
  try {
    const shape = new PartsShape(options)
    const shelf = await shelvedParts(shape, root)
    const real = new ReplayParts(shape, shelf, root)
    try {
      return await work(new Replay(partsModel(options, rules), shape, real))
    } finally {
      await real.reset()
    }
  } finally {
    await rm(root, { recursive: true, force: true })
  }
}

/** Steps chosen by chance; ends are rare, so that walks come far. */
function byChance(seed: number, most: number, model: PartsModel): Choose {
  const random = seeded(seed)
  const isRare = (i: number): boolean => /crashes|recreate|loses/.test(model.actions[i]!.name)
  return (possible, at) => {
    if (at === most || possible.length === 0) return undefined
    const often = possible.filter((i) => !isRare(i))
    const among = often.length > 0 && random(15) > 0 ? often : possible
    return among[random(among.length)]
  }
}

/** The shortest way to a state that the code can go, as the explorer finds it. */
function wayTo(model: PartsModel, shape: PartsShape, isThere: (s: PartsState) => boolean): Choose {
  const course = new Course(shape)
  const actions = model.actions.map((action): PartsModel['actions'][number] => ({
    ...action,
    step: (s) => course.allows(action.name, s) && action.step(s),
  }))
  const { violation } = explore({
    ...model,
    actions,
    always: { sought: (s) => !isThere(s) },
    sometimes: {},
    terminal: {},
    settles: false,
  })
  if (violation?.property !== 'sought') throw new Error('no state is like that')
  const way = violation.trace.flatMap(({ action }) => (action === undefined ? [] : [action]))
  return (_, at) => {
    const index = model.actions.findIndex(({ name }) => name === way[at])
    return index < 0 ? undefined : index
  }
}

const quick = { publishers: 2, revisions: [2], slowPruner: false } as const
const CONFIGURATIONS: readonly (PartsOptions & { readonly walks: number })[] = [
  { ...quick, name: 'one history', walks: 6 },
  { ...quick, name: 'who prunes slowly', slowPruner: true, walks: 6 },
  { ...quick, name: 'one manifest of two', twins: true, revisions: [3], slowPruner: true, walks: 12 },
  { ...quick, name: 'recreated', revisions: [1, 1], walks: 5 },
  { ...quick, name: 'recreated, only the source knows', revisions: [1, 1], histories: 'named', walks: 5 },
]
const STEPS = 60

test.each(CONFIGURATIONS)(
  'the code takes the steps of parts by chance: $name',
  { timeout: 3_600_000 },
  async ({ walks, ...options }) => {
    const { actions, steps } = await replaying(options, protocol, async (replay) => {
      for (let walk = 0; walk < (FULL ? 50 * walks : walks); walk++) {
        const seed = SEED + walk
        await replay.walk(byChance(seed, STEPS, replay.model)).catch((error: unknown) => {
          throw new Error(`SLIP_SEED=${seed}: ${(error as Error).message}`, { cause: error })
        })
      }
      return replay
    })
    process.stdout.write(`${options.name}: ${steps} steps, ${actions.size} actions\n`)
    expect(steps).toBeGreaterThan(5 * walks)
    expect(actions.size).toBeGreaterThan(15)
  },
)

const isPublisher = (shape: PartsShape, s: PartsState, phase: number): boolean =>
  shape.publishers.some((n) => s.publisher.at(n) === phase)
const REBASING = 5
const SEALED = 6
const MISSED = 6
const MADE = 7

test.each<
  readonly [
    what: string,
    options: Partial<PartsOptions>,
    isThere: (s: PartsState, shape: PartsShape) => boolean,
  ]
>([
  [
    'a layer is published and fetched by who has what is below',
    {},
    (s, shape) => s.newcomer === MADE && s.pointer > 0 && shape.stateOf(s.pointer) === 2 && s.has === 2,
  ],
  [
    'two nodes with one manifest: one finds the list of the other',
    { twins: true, revisions: [3], newcomer: false },
    (s, shape) => isPublisher(shape, s, REBASING),
  ],
  [
    'a list is replaced by a base that keeps what it listed',
    { twins: true, newcomer: false },
    (s, shape) => s.archives.at(1) > 0 && shape.lists.contents[s.archives.at(1)]!.kept.length > 0,
  ],
  [
    'what was laid upon is pruned before the swap',
    {},
    (s, shape) =>
      shape.publishers.some(
        (n) =>
          s.publisher.at(n) === BROUGHT &&
          !shape.lists.contents[s.made.at(n)]!.chain.every((part) => s.parts.at(part) === 1),
      ),
  ],
  [
    'a payload is pruned between the pointer and its list',
    {},
    (s) => s.newcomer === MISSED && s.gotList === 0,
  ],
  ['a part is pruned between the list and the read of it', {}, (s) => s.newcomer === MISSED && s.gotList > 0],
  [
    'the pointer moves while who prunes reads the lists',
    { slowPruner: true, newcomer: false },
    (s) => s.doomed > 0 && s.pointer !== s.pruning,
  ],
  [
    'who prunes is about to delete while another is about to move the pointer',
    { slowPruner: true, newcomer: false },
    (s, shape) => s.doomed > 0 && s.sure === 1 && isPublisher(shape, s, SEALED),
  ],
])('the code goes the shortest way to where %s', { timeout: 600_000 }, async (what, options, isThere) => {
  const all = { ...quick, crashes: false, ...options, name: what }
  await replaying(all, protocol, async (replay) => {
    const way = wayTo(replay.model, replay.shape, (s) => isThere(s, replay.shape))
    let length = 0
    const taken = await replay.walk((possible, at) => {
      const chosen = way(possible, at)
      if (chosen !== undefined) length++
      return chosen
    })
    expect(taken).toBe(length)
    expect(taken).toBeGreaterThan(3)
  })
})

test(
  'who prunes deletes nothing once the pointer moved, as the code does it',
  { timeout: 600_000 },
  async () => {
    const options = { ...quick, name: 'gives up', slowPruner: true, newcomer: false, crashes: false }
    await replaying(options, protocol, async (replay) => {
      const { shape, model, real } = replay
      const way = wayTo(
        model,
        shape,
        (s) =>
          s.doomed > 0 &&
          s.pointer !== s.pruning &&
          shape.artifacts.every((artifact) => s.unread.at(artifact - 1) === 0),
      )
      const again = model.actions.findIndex(({ name }) => name === 'who prunes looks at the pointer again')
      let isLast = false
      await replay.walk((possible, at) => {
        const next = way(possible, at)
        if (next !== undefined) return next
        if (isLast) return undefined
        isLast = true
        return again
      })
      expect([isLast, real.pruning.call]).toEqual([true, undefined])
      expect(real.abstraction()['parts']).not.toEqual([])
    })
  },
)

test('a model with other rules of parts than the code is told from it', { timeout: 600_000 }, async () => {
  const options: PartsOptions = { ...quick, name: 'other rules', twins: true, revisions: [3] }
  const others: Readonly<Record<string, Partial<Protocol>>> = {
    sealParts: { sealParts: ({ found }) => (found === undefined ? 'put' : 'keep') },
    prunablePart: { prunablePart: (input) => protocol.prunablePart({ ...input, isListed: false }) },
  }
  for (const [rule, changes] of Object.entries(others))
    await expect(
      replaying(options, { ...protocol, ...changes }, async (replay) => {
        for (let walk = 0; walk < 40; walk++) await replay.walk(byChance(SEED + walk, STEPS, replay.model))
      }),
      rule,
    ).rejects.toThrow(/to deeply equal|after: /)
})
