import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { FollowerWorld } from '@slip/acceptance'
import { follow, type KvUpdate } from '@slip/kv-core'
import { natsBucket } from '@slip/nats'
import { natsServerOrSkip } from '@slip/nats-server'
import { appendLog, AppendLogReader, AppendLogSnapshot } from '@slip/store-applog'
import { expect, test } from 'vitest'

const VERSION = '2.12'
const WITHIN = { timeoutMs: 30_000 }

const { skip } = await natsServerOrSkip(VERSION)

test.skipIf(skip)(
  'a fold that lost its cursor, and not its entries, loses what was deleted meanwhile',
  async () => {
    await using world = await FollowerWorld.start({ version: VERSION })
    const path = join(world.directory, 'fold.snap')
    const source = natsBucket(world.bucket.name, { servers: world.server.url })
    // Generation 2 keeps no names of deleted keys: no count can find what this is about.
    const store = appendLog({ path, format: 2 })
    for (const key of ['a', 'b', 'c']) await world.bucket.put(key, 'v')
    {
      await using follower = await follow({ source, store })
      await follower.caughtUp(WITHIN)
    }
    const log = await AppendLogSnapshot.open({ path, format: 2 })
    await log.compact()
    await log.close()
    const bytes = await readFile(path)
    bytes[bytes.length - 1]! ^= 1
    await writeFile(path, bytes)
    const damaged = await AppendLogReader.open({ path })
    expect([[...damaged.keys()], damaged.cursor.isNone]).toEqual([['a', 'b', 'c'], true])

    await world.bucket.delete('b')
    await world.bucket.purgeDeletes()
    const removed: KvUpdate[] = []
    const reasons: (string | undefined)[] = []
    await using follower = await follow({
      source,
      store,
      apply: (batch) => void removed.push(...batch.filter(({ operation }) => operation !== 'put')),
    })
    follower.onStatus(({ state, reason }) => void (state === 'resyncing' && reasons.push(reason)))
    await follower.caughtUp(WITHIN)
    expect([...follower.keys()]).toEqual(['a', 'c'])
    expect(reasons).toEqual(['cursorMissing'])
    expect(removed).toMatchObject([{ operation: 'delete', key: 'b', reason: 'resync' }])
  },
)
