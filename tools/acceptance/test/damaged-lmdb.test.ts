import { mkdtemp, open, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { follow, type Follower } from '@slip/kv-core'
import { memoryBucket, MemoryConnection } from '@slip/memory'
import { lmdb, verifyLmdb } from '@slip/store-lmdb'
import { expect, onTestFinished, test, vi } from 'vitest'

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

test('damage to the fold of a follower whose bucket is silent is found, and it is set aside and hydrated anew', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'slip-damaged-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  const connection = new MemoryConnection()
  onTestFinished(() => connection.close())
  const { writer } = await connection.store('b', {})
  const keys = Array.from({ length: 400 }, (_, i) => `key-${1_000 + i}`)
  for (const key of keys) await writer.put(key, 'v'.repeat(100))
  const path = join(directory, 'fold')
  const walk = { everyMs: 10, bytesPerSecond: 1e9 }
  const follower = await follow({ source: memoryBucket(connection, 'b'), store: lmdb({ path, walk }) })
  onTestFinished(() => follower.close())
  await follower.caughtUp()
  await flipped(join(path, FILE), 'v'.repeat(100))

  const patient = { timeout: 60_000, interval: 20 }
  await vi.waitFor(() => expect(follower.status.recovery?.verdict).toBe('corrupt'), patient)
  await follower.caughtUp()
  const movedTo = follower.status.recovery!.movedTo!
  expect((await stat(join(movedTo, FILE))).isFile()).toBe(true)
  expect(await verifyLmdb(movedTo)).toMatchObject({ verdict: 'corrupt' })
  expect([...follower.keys()]).toEqual(keys)
  expect(follower.range('').every(({ value }) => Buffer.from(value).toString() === 'v'.repeat(100))).toBe(
    true,
  )
  await writer.put('after', 'v')
  await vi.waitFor(() => expect(follower.has('after')).toBe(true), patient)
  await follower.close()
  expect(await verifyLmdb(path)).toMatchObject({ verdict: 'intact', entries: keys.length + 1 })
}, 120_000)

/** Flips a bit of every such text, in place. */
async function flipped(path: string, text: string): Promise<void> {
  const bytes = await readFile(path)
  const file = await open(path, 'r+')
  try {
    for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text, at + text.length))
      await file.write(Uint8Array.of(text.charCodeAt(0) ^ 1), 0, 1, at)
  } finally {
    await file.close()
  }
}

async function zeroed(path: string, page: number): Promise<void> {
  const bytes = await readFile(path)
  await writeFile(path, bytes.fill(0, page * PAGE_BYTES, (page + 1) * PAGE_BYTES))
}

async function cut(path: string, share: number): Promise<void> {
  await truncate(path, Math.floor(share * (await readFile(path)).length))
}
