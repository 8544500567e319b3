import { join } from 'node:path'
import { FollowerWorld } from '@slip/acceptance'
import {
  compareKeys,
  follow,
  type FoldReader,
  type Follower,
  type KvReader,
  type SourceOpener,
  type WatchScope,
} from '@slip/kv-core'
import { memoryBucket, MemoryConnection } from '@slip/memory'
import { natsBucket, NatsConnection } from '@slip/nats'
import { natsServerOrSkip, SERVER_MATRIX } from '@slip/nats-server'
import { appendLog } from '@slip/store-applog'
import { describe, expect, test } from 'vitest'

const WITHIN = { timeoutMs: 30_000 }
const KEYS = [
  'nod',
  'node',
  'node.a',
  'node.a.b',
  'node.ab',
  'nodes',
  'other',
  'x',
  'x.y.on',
  'x.y.one',
  'x.z',
]
const PREFIXES = ['', 'node', 'node.', 'node.a', 'x.y.on', 'x.', 'none', '*', 'node.*', 'x.>', '>']
const SEVERAL = [
  ['node', 'other'],
  ['x.', 'x.y.', 'node.'],
  ['', 'node'],
  ['node.', 'node.'],
]

for (const version of SERVER_MATRIX) {
  const { skip } = await natsServerOrSkip(version)

  describe.skipIf(skip)(`a prefix is the same bytes in every layer, nats-server ${version}`, () => {
    test('readers and stores list exactly what starts with it', async () => {
      await using world = await FollowerWorld.start({ version })
      await using connection = await NatsConnection.connect({ servers: world.server.url })
      await using memory = new MemoryConnection()
      const sources: readonly { readonly reader: KvReader; readonly source: SourceOpener }[] = [
        { reader: (await connection.store(world.bucket.name)).reader, source: natsSource(world) },
        { reader: (await filled(memory)).reader, source: memoryBucket(memory, 'b') },
      ]
      for (const key of KEYS) await world.bucket.put(key, 'v')
      for (const [i, { reader, source }] of sources.entries()) {
        await using follower = await following(world, source, 'all', `reads-${i}`)
        for (const prefix of PREFIXES) {
          const wanted = under([prefix])
          expect(await listed(reader, prefix), `reader, ${prefix}`).toEqual(wanted)
          expect(ranged(follower, prefix), `store, ${prefix}`).toEqual(wanted)
        }
      }
    })

    test(
      'a follower of it holds exactly what starts with it, also after a rebuild',
      { timeout: 120_000 },
      async () => {
        await using world = await FollowerWorld.start({ version })
        await using memory = new MemoryConnection()
        await filled(memory)
        for (const key of KEYS) await world.bucket.put(key, 'v')
        const scopes = [...PREFIXES.map((prefix) => [prefix]), ...SEVERAL]
        const followers: { readonly prefixes: readonly string[]; readonly follower: Follower }[] = []
        try {
          for (const [i, prefixes] of scopes.entries()) {
            const scope: WatchScope = prefixes.length === 1 ? { prefix: prefixes[0]! } : { prefixes }
            const follower = await following(world, natsSource(world), scope, `nats-${i}`)
            followers.push({ prefixes, follower })
            await using inMemory = await following(world, memoryBucket(memory, 'b'), scope, `memory-${i}`)
            expect([...follower.keys()], JSON.stringify(prefixes)).toEqual(under(prefixes))
            expect([...inMemory.keys()], JSON.stringify(prefixes)).toEqual(under(prefixes))
          }
          await world.bucket.destroy()
          await world.bucket.create()
          let last = 0n
          for (const key of [...KEYS, 'nodes.new']) last = await world.bucket.put(key, 'w')
          for (const { prefixes, follower } of followers) {
            await follower.waitFor(last, WITHIN)
            await follower.caughtUp(WITHIN)
            expect([...follower.keys()], JSON.stringify(prefixes)).toEqual(
              under(prefixes, [...KEYS, 'nodes.new']),
            )
          }
        } finally {
          await Promise.all(followers.map(async ({ follower }) => await follower.close()))
        }
      },
    )
  })
}

function under(prefixes: readonly string[], keys: readonly string[] = KEYS): string[] {
  return keys.filter((key) => prefixes.some((prefix) => key.startsWith(prefix))).toSorted(compareKeys)
}

function natsSource(world: FollowerWorld): SourceOpener {
  return natsBucket(world.bucket.name, { servers: world.server.url })
}

async function filled(memory: MemoryConnection): Promise<Awaited<ReturnType<MemoryConnection['store']>>> {
  const store = await memory.store('b', {})
  for (const key of KEYS) await store.writer.put(key, 'v')
  return store
}

async function following(
  world: FollowerWorld,
  source: SourceOpener,
  scope: WatchScope,
  name: string,
): Promise<Follower> {
  const follower = await follow({ source, scope, store: appendLog({ path: join(world.directory, name) }) })
  await follower.caughtUp(WITHIN)
  return follower
}

async function listed(reader: KvReader, prefix: string): Promise<string[]> {
  const keys: string[] = []
  for await (const { key } of reader.keys(prefix)) keys.push(key)
  return keys.toSorted(compareKeys)
}

function ranged(fold: FoldReader, prefix: string): string[] {
  return fold.range(prefix).map(({ key }) => key)
}
