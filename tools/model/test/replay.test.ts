import { protocol, type Protocol } from '@slip/kv-core'
import { ancestor, attachModel, AttachShape, type AttachOptions, type AttachState } from '@slip/model'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { ReplayFollower, type Abstraction } from './replay/replay-follower.ts'
import { takeWalk } from './replay/take-walk.ts'
import { walks } from './replay/walk.ts'

const DOWN = 0
const WATCHING = 3
const FAILED = 4

beforeAll(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] })
})
afterAll(() => {
  vi.useRealTimers()
})

/** What the model says of the same things. */
function expected(shape: AttachShape, s: AttachState): Abstraction {
  const row = (of: { at(k: number): number }): string =>
    Array.from({ length: shape.scoped }, (_, k) => shape.messages.show(of.at(k))).join(' ')
  return {
    fold: row(s.fold),
    cursor: s.cursor,
    incarnation: s.bound === 0 ? '' : String(s.bound - 1),
    staged: s.rebuilding === 0 ? '' : `${row(s.staged)} @${s.stagedCursor}`,
    watching: s.mode === WATCHING,
    live: s.mode === WATCHING && s.caught === 1 && s.unsure === 0,
    failed: s.mode === FAILED,
  }
}

async function replayed(options: AttachOptions, rules = protocol): Promise<{ edges: number; steps: number }> {
  const shape = new AttachShape(options)
  const model = attachModel(options, rules)
  const taken = new Set<string>()
  let steps = 0
  for (const walk of walks(model)) {
    const begin = model.layout.state()
    model.begin?.(begin)
    const follower = new ReplayFollower(shape, begin)
    const state = await takeWalk(model, walk, begin, {
      take: (...step) => follower.take(...step),
      abstraction: () => follower.abstraction(),
      expected: (next) => expected(shape, next),
    })
    for (const { from, action } of walk) taken.add(`${from} ${action}`)
    steps += walk.length
    if (state.mode !== DOWN) await follower.abandon()
    vi.clearAllTimers()
  }
  return { edges: taken.size, steps }
}

const two = { keys: 2, revisions: 2 } as const

const three = { keys: 2, revisions: 3 } as const

/** Every step of the first; with `SLIP_REPLAY=full` every step of the second too. */
const FEW: readonly AttachOptions[] = [
  { name: 'writers only', ...two, faults: [] },
  { name: 'every silent removal', ...two, faults: ['purge', 'purgeSubject', 'cleanMarker'] },
  { name: 'recreate', ...two, eras: 2, faults: ['recreate'] },
  { name: 'rollback', ...two, eras: 2, faults: ['rollback'] },
]
/** Not rollback: with three writes a fold can be in doubt, and the source of the replay cannot be listed. */
const MANY: readonly AttachOptions[] = [
  { name: 'writers only, three writes', ...three, faults: [] },
  { name: 'every silent removal, three writes', ...three, faults: ['purge', 'purgeSubject', 'cleanMarker'] },
  { name: 'recreate, three writes', ...three, eras: 2, faults: ['recreate', 'cleanMarker'] },
]
const CONFIGURATIONS = process.env['SLIP_REPLAY'] === 'full' ? [...FEW, ...MANY] : FEW

test.each(CONFIGURATIONS)(
  'the real follower takes every step of: $name',
  { timeout: 600_000 },
  async (options) => {
    const startedNs = process.hrtime.bigint()
    const { edges, steps } = await replayed(options)
    const seconds = Number(process.hrtime.bigint() - startedNs) / 1e9
    process.stdout.write(`${options.name}: ${edges} edges in ${steps} steps, ${seconds} s\n`)
    expect(edges).toBeGreaterThan(100)
  },
)

test('a model with other rules than the follower is told from it', async () => {
  await expect(
    replayed({ name: 'ancestor', ...two, eras: 2, faults: ['recreate'] }, ancestor),
  ).rejects.toThrow('to deeply equal')
  const careless: Protocol = { ...protocol, audit: () => 'wait' }
  await expect(replayed({ name: 'careless', ...two, faults: ['purge'] }, careless)).rejects.toThrow(
    'to deeply equal',
  )
})
