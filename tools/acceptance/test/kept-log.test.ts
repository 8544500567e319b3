import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  decodeLineage,
  follow,
  WatchCursor,
  type FoldReader,
  type Follower,
  type SnapshotLocation,
  type StoreConfig,
} from '@slip/kv-core'
import { memoryBucket, MemoryConnection } from '@slip/memory'
import { appendLog, AppendLogReader } from '@slip/store-applog'
import { lmdb, LmdbReader, verifyLmdb } from '@slip/store-lmdb'
import { expect, onTestFinished, test } from 'vitest'

const AT_MS = 1_700_000_000_123
/** The record of cursor 257 with the memo and that time, as the Rust system writes it. */
const CURSOR_257 = '476fbafd03140000000000000101000008037b68e5cf8b010000'
const FULL: StoreConfig = { maxBytes: 1_000, discard: 'old' }

type StoreAt = (path: string) => SnapshotLocation

const GENERATION_2: StoreAt = (path) => appendLog({ path, format: 2 })
const STORES: readonly (readonly [name: string, store: StoreAt])[] = [
  ['a log of generation 2', GENERATION_2],
  ['a log of generation 3', (path) => appendLog({ path, format: 3 })],
  ['a fold in LMDB', (path) => lmdb({ path })],
]

/** A bucket that has evicted, and whose last revision is 257. */
async function evicted(): Promise<MemoryConnection> {
  const connection = new MemoryConnection({ now: () => AT_MS })
  onTestFinished(() => connection.close())
  const { writer } = await connection.store('b', FULL)
  for (let i = 1; i <= 257; i++) await writer.put(`key-${i % 50}`, `value ${i}`)
  return connection
}

async function scratch(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'slip-kept-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  return join(directory, 'fold.snap')
}

async function followed(
  connection: MemoryConnection,
  path: string,
  store: StoreAt = GENERATION_2,
): Promise<Follower> {
  const follower = await follow({
    source: memoryBucket(connection, 'b'),
    store: store(path),
    whenEvicted: 'keep',
    auditIntervalMs: 20,
  })
  onTestFinished(() => follower.close())
  return follower
}

async function cursorOf(path: string): Promise<WatchCursor> {
  const reader = await AppendLogReader.open({ path })
  try {
    return reader.cursor
  } finally {
    await reader.close()
  }
}

async function kept(connection: MemoryConnection, path: string, store?: StoreAt): Promise<string[]> {
  const follower = await followed(connection, path, store)
  await follower.caughtUp()
  const keys = [...follower.keys()]
  await follower.close()
  return keys
}

test('that eviction was seen stands in a log of generation 2 byte for byte as the Rust system writes it', async () => {
  const path = await scratch()
  await kept(await evicted(), path)
  const bytes = await readFile(path)
  expect(bytes.subarray(0, 6).toString('hex')).toBe('504753530200')
  expect(bytes.subarray(-CURSOR_257.length / 2).toString('hex')).toBe(CURSOR_257)
})

test('a fold of a bucket that never evicted has the bare cursor, which older readers take', async () => {
  const connection = new MemoryConnection({ now: () => AT_MS })
  onTestFinished(() => connection.close())
  const { writer } = await connection.store('b', {})
  await writer.put('a', '1')
  const path = await scratch()
  await kept(connection, path)
  const cursor = await cursorOf(path)
  expect(cursor.toHex()).toBe('0000000000000001')
})

test.each(STORES)(
  '%s remembers it over a restart, also when the bucket stops evicting',
  async (_name, store) => {
    const connection = await evicted()
    const path = await scratch()
    const before = await kept(connection, path, store)
    connection.faults.reconfigure('b', { discard: 'new' })
    connection.faults.purgePrefix('b', 'key-7')
    const follower = await followed(connection, path, store)
    await follower.caughtUp()
    expect(follower.store.cursor.memo).toEqual({ evictionSeen: true, serverTimeMs: BigInt(AT_MS) })
    await sleep(100)
    expect(follower.status).toMatchObject({ state: 'live', unverified: expect.arrayContaining(['count']) })
    expect([...follower.keys()]).toEqual(before)
  },
)

test.each([2, 3] as const)(
  'a log of generation %i that fell behind is refused, and nothing but the mark is written to it',
  async (format) => {
    const connection = new MemoryConnection({ now: () => AT_MS })
    onTestFinished(() => connection.close())
    const { writer } = await connection.store('b', FULL)
    const path = await scratch()
    const store: StoreAt = () => appendLog({ path, format })
    await writer.put('a', '1')
    expect(await kept(connection, path, store)).toEqual(['a'])
    const bare = await readFile(path)
    for (let i = 0; i < 100; i++) await writer.put(`key-${i}`, 'value')
    const refused = async (): Promise<Buffer> => {
      const follower = await followed(connection, path, store)
      await expect(follower.closed).rejects.toMatchObject({ code: 'RepairRefused' })
      expect([...follower.keys()]).toEqual(['a'])
      await follower.close().catch(() => undefined)
      return await readFile(path)
    }
    const marked = await refused()
    expect(marked.subarray(0, bare.length).equals(bare)).toBe(true)
    expect(marked.length).toBeGreaterThan(bare.length)
    // Generation 2 keeps no time of a message beside a bare cursor.
    expect((await cursorOf(path)).toHex()).toBe(
      format === 2 ? '000000000000000100000801' : '0000000000000001000008037b68e5cf8b010000',
    )
    expect((await refused()).equals(marked)).toBe(true)
  },
)

test('a fold in LMDB that fell behind is refused with its data as it was, and the mark goes with its lineage', async () => {
  const connection = new MemoryConnection({ now: () => AT_MS })
  onTestFinished(() => connection.close())
  const { writer } = await connection.store('b', FULL)
  const path = await scratch()
  const store: StoreAt = () => lmdb({ path })
  await writer.put('a', '1')
  expect(await kept(connection, path, store)).toEqual(['a'])
  const bare = await contentOf(path)
  expect(bare.lineage).toMatchObject({ binding: { evictionSeen: false, whenEvicted: 'keep' }, settled: true })
  for (let i = 0; i < 100; i++) await writer.put(`key-${i}`, 'value')
  const refused = async (): Promise<Content> => {
    const follower = await followed(connection, path, store)
    await expect(follower.closed).rejects.toMatchObject({ code: 'RepairRefused' })
    expect([...follower.keys()]).toEqual(['a'])
    await follower.close().catch(() => undefined)
    return await contentOf(path)
  }
  const marked = await refused()
  expect(marked.entries).toEqual(bare.entries)
  expect(marked.cursor).toBe('0000000000000001000008037b68e5cf8b010000')
  expect(marked.lineage).toEqual({
    ...bare.lineage,
    binding: { ...bare.lineage.binding, evictionSeen: true },
  })
  expect(await refused()).toEqual(marked)
  expect(await verifyLmdb(path)).toMatchObject({ verdict: 'intact', entries: 1, deletedKeys: 0 })
})

interface Content {
  readonly entries: ReturnType<FoldReader['range']>
  readonly cursor: string
  readonly lineage: ReturnType<typeof decodeLineage>
}

async function contentOf(path: string): Promise<Content> {
  await using reader = await LmdbReader.open({ path })
  return {
    entries: reader.range(''),
    cursor: reader.cursor.toHex(),
    lineage: decodeLineage(reader.lineage!),
  }
}
