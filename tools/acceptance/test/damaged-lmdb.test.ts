import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { follow, type Follower } from '@slip/kv-core'
import { memoryBucket, MemoryConnection } from '@slip/memory'
import { lmdb, verifyLmdb } from '@slip/store-lmdb'
import { expect, onTestFinished, test } from 'vitest'

const FILE = 'fold-00000001.mdb'
const PAGE_BYTES = 4096

const DAMAGES: readonly (readonly [what: string, damage: (path: string) => Promise<void>])[] = [
  ['whose first page was zeroed', (path) => zeroed(join(path, FILE), 0)],
  ['that lost half of its file', async (path) => await cut(join(path, FILE), 0.5)],
  ['whose file is empty', async (path) => await cut(join(path, FILE), 0)],
  ['whose file is gone', async (path) => await rm(join(path, FILE))],
  ['whose CURRENT was cut short', async (path) => await cut(join(path, 'CURRENT'), 0.9)],
]

test.each(DAMAGES)('a fold in LMDB %s is set aside and hydrated anew', async (_what, damage) => {
  const directory = await mkdtemp(join(tmpdir(), 'slip-damaged-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  const connection = new MemoryConnection()
  onTestFinished(() => connection.close())
  const { writer } = await connection.store('b', {})
  const keys = Array.from({ length: 400 }, (_, i) => `key-${1_000 + i}`)
  for (const key of keys) await writer.put(key, 'v'.repeat(100))
  const path = join(directory, 'fold')
  const followed = async (): Promise<Follower> => {
    const follower = await follow({ source: memoryBucket(connection, 'b'), store: lmdb({ path }) })
    onTestFinished(() => follower.close())
    await follower.caughtUp()
    return follower
  }
  await (await followed()).close()
  expect(await verifyLmdb(path)).toMatchObject({ verdict: 'intact', entries: keys.length })
  await damage(path)
  const left = await readdir(path)

  const follower = await followed()
  const { recovery } = follower.status
  expect(recovery?.verdict).toBe('corrupt')
  expect(await readdir(recovery!.movedTo!)).toEqual(expect.arrayContaining(left))
  expect([...follower.keys()]).toEqual(keys)
  await follower.close()
  expect(await verifyLmdb(path)).toMatchObject({ verdict: 'intact', entries: keys.length })
})

async function zeroed(path: string, page: number): Promise<void> {
  const bytes = await readFile(path)
  await writeFile(path, bytes.fill(0, page * PAGE_BYTES, (page + 1) * PAGE_BYTES))
}

async function cut(path: string, share: number): Promise<void> {
  await truncate(path, Math.floor(share * (await readFile(path)).length))
}
