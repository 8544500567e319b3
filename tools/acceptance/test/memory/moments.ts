import type { WatchScope } from '@slip/kv-core'
import type { Divergence } from './divergences.ts'
import { BUCKET, MemoryWorld, type StoreKind } from './memory-world.ts'

/** What a follower is doing when it happens. */
export type Moment = 'live' | 'stopped' | 'catching up' | 'in a resync'

export const MOMENTS: readonly Moment[] = ['live', 'stopped', 'catching up', 'in a resync']

export const SCOPES: readonly (readonly [name: string, scope: WatchScope])[] = [
  ['all', 'all'],
  ['prefix', { prefix: 'a.' }],
  ['prefixes', { prefixes: ['a.', 'b.'] }],
]

const BATCHES_BEFORE = 3

/** A world in which `divergence` has just happened in this moment, and a follower is at work again. */
export async function diverged(
  divergence: Divergence,
  moment: Moment,
  scope: WatchScope,
  kind?: StoreKind,
): Promise<MemoryWorld> {
  const world = await MemoryWorld.open(scope, divergence.config ?? {}, kind)
  try {
    await MAKE[moment](world, divergence)
    return world
  } catch (error) {
    await world[Symbol.asyncDispose]()
    throw error
  }
}

const MAKE: Readonly<Record<Moment, (world: MemoryWorld, divergence: Divergence) => Promise<void>>> = {
  live: async (world, { arrange }) => {
    await fill(world)
    const happen = await arrange(world)
    await followed(world)
    await happen()
  },
  stopped: async (world, { arrange }) => {
    await fill(world)
    const happen = await arrange(world)
    await followed(world)
    await world.stop()
    await happen()
    await world.follow()
  },
  'catching up': async (world, { arrange }) => {
    await fill(world)
    const happen = await arrange(world)
    const held = world.hold('initial', BATCHES_BEFORE)
    await world.follow()
    await held()
    await happen()
    world.release()
  },
  'in a resync': async (world, { arrange }) => {
    await fill(world)
    await followed(world)
    await world.stop()
    world.faults.recreate(BUCKET)
    await fill(world)
    const happen = await arrange(world)
    const held = world.hold('resync', BATCHES_BEFORE)
    await world.follow()
    await held()
    await happen()
    world.release()
  },
}

/** Each key several times where the bucket keeps several, so that there is something to uncover. */
async function fill(world: MemoryWorld): Promise<void> {
  for (let i = 0; i < 300; i++) await world.put(`a.fill.${i}`)
  for (let round = 0; round < 2; round++)
    for (let i = 0; i < 20; i++) await world.put(`a.${i}`, `b.${i}`, `c.${i}`)
}

async function followed(world: MemoryWorld): Promise<void> {
  await world.follow()
  await world.follower.waitFor(await world.last(), { timeoutMs: 20_000 })
  await world.follower.caughtUp({ timeoutMs: 20_000 })
}
