import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { copyFile, readFile, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { WatchCursor, type KvUpdate, type SliceMessage } from '@slip/kv-core'
import { describe, expect, test } from 'vitest'
import { AppendLogReader } from '../src/append-log-reader.ts'
import { AppendLogSnapshot } from '../src/append-log-snapshot.ts'
import { compactionDue } from '../src/compaction.ts'
import { nodeFileSystem, type FileSystem } from '@slip/kv-core/store-parts'
import { verifyAppendLog } from '../src/verify-append-log.ts'
import { at, del, plain, put, scratch } from './scratch.ts'

const GOLDEN_2 = fileURLToPath(new URL('interop/mixed.snap', import.meta.url))
const VALUE = new Uint8Array(200).fill(1)

describe.each([2, 3] as const)('generation %i', (format) => {
  test('applies go on while the log is compacted, and nothing of them is lost', async () => {
    const path = join(await scratch(), 'log')
    const store = await AppendLogSnapshot.open({ path, format, compact: false })
    for (let i = 1; i <= 40; i++)
      await store.apply(
        Array.from({ length: 500 }, (_, j) => put(`k${(i * j) % 3_000}`, VALUE, i)),
        at(i),
        format === 3 ? { lineage: Uint8Array.of(i) } : {},
      )
    let revision = 40
    const compacting = { goesOn: true }
    const compaction = store.compact().finally(() => {
      compacting.goesOn = false
    })
    let during = 0
    while (compacting.goesOn) {
      revision++
      during++
      await store.apply(
        [put(`during${revision}`, VALUE, revision), del(`k${revision}`, revision)],
        at(revision),
        format === 3 && revision % 7 === 0 ? { lineage: Uint8Array.of(revision & 255) } : {},
      )
    }
    const { before, after } = await compaction
    expect(during).toBeGreaterThan(0)
    expect(after).toBeLessThan(before)
    revision++
    await store.apply([put('after', 'v', revision)], at(revision))
    const [expected, lineage] = [plain(store), store.lineage]
    const deleted = [...(store.deletedKeys?.() ?? [])].map(({ key }) => key)
    await store.close()
    const again = await AppendLogSnapshot.open({ path, format })
    expect(plain(again)).toEqual(expected)
    expect(again.lineage).toEqual(lineage)
    expect([...(again.deletedKeys?.() ?? [])].map(({ key }) => key)).toEqual(deleted)
    expect(again.cursor.revision).toBe(BigInt(revision))
    await again.close()
  })

  test('by itself it writes at most about twice what the applies wrote', async () => {
    const directory = await scratch()
    const path = join(directory, 'log')
    let written = 0
    const files: FileSystem = {
      ...nodeFileSystem,
      open: async (name, mode) => {
        const handle = await nodeFileSystem.open(name, mode)
        const write = handle.write.bind(handle)
        handle.write = async (...of) => {
          const done = await write(...of)
          if (name.startsWith(path) && !name.includes('lock')) written += done.bytesWritten
          return done
        }
        return handle
      },
    }
    const store = await AppendLogSnapshot.open({ path, format, compact: { minBytes: 256 * 1024 } }, files)
    let applied = 0
    for (let i = 1; i <= 600; i++) {
      const batch = Array.from({ length: 64 }, (_, j) => put(`k${(i * 64 + j) % 2_000}`, VALUE, i))
      applied += batch.length * (VALUE.length + 20)
      await store.apply(batch, at(i))
      // A slow sync must not decide how much is appended meanwhile.
      if (i % 20 === 0) while ((await readdir(directory)).includes('log.compacting')) await sleep(2)
    }
    await store.close()
    expect((await stat(path)).size).toBeLessThan(applied / 4)
    console.log(`write amplification ${(written / applied).toFixed(2)}`)
    expect(written / applied).toBeLessThan(3)
  })
})

test('when compaction is due', () => {
  expect(compactionDue({}, 100e6, 40e6)).toBe(true)
  expect(compactionDue({}, 100e6, 60e6)).toBe(false)
  expect(compactionDue({}, 10e6, 0)).toBe(false)
  expect(compactionDue({ minBytes: 1 }, 100, 0)).toBe(true)
  expect(compactionDue({ garbageShare: 0.9, minBytes: 1 }, 100, 20)).toBe(false)
  expect(compactionDue(false, 100e6, 0)).toBe(false)
})

test('a generation-2 log opens as it is, and its first compaction makes it native', async () => {
  const path = join(await scratch(), 'log')
  await copyFile(GOLDEN_2, path)
  const store = await AppendLogSnapshot.open({ path })
  expect([store.generation, store.features.lineage, store.deletedKeys]).toEqual([2, false, undefined])
  await store.apply([put('more', 'v', 2_000)], at(2_000), { lineage: Uint8Array.of(5) })
  expect(store.lineage).toBeUndefined()
  const expected = plain(store)
  await store.compact()
  expect([store.generation, store.features.lineage, store.features.deletedKeys]).toEqual([3, true, true])
  await store.apply([del('more', 2_001)], at(2_001))
  await store.close()
  const reader = await AppendLogReader.open({ path })
  expect(reader.generation).toBe(3)
  expect(plain(reader)).toEqual(expected.filter(({ key }) => key !== 'more'))
  expect(reader.lineage).toEqual(Uint8Array.of(5))
  expect([...reader.deletedKeys()].map(({ key }) => key)).toContain('more')
})

test('a reader that opened before a compaction keeps its cut, one that opens beside it sees a whole one', async () => {
  const path = join(await scratch(), 'log')
  const store = await AppendLogSnapshot.open({ path, compact: { minBytes: 32 * 1024, garbageShare: 0.3 } })
  await store.apply([put('k', '0', 1)], at(1))
  const early = await AppendLogReader.open({ path })
  const writing = { goesOn: true }
  const reading = (async () => {
    let last = 0n
    let reads = 0
    while (writing.goesOn) {
      const reader = await AppendLogReader.open({ path })
      const revision = reader.cursor.revision ?? 0n
      expect(revision).toBeGreaterThanOrEqual(last)
      expect(Buffer.from(reader.get('k')!.value).toString()).toBe(String(Number(revision) - 1))
      expect(reader.holder?.pid).toBe(process.pid)
      last = revision
      reads++
      await reader.close()
    }
    return reads
  })()
  for (let i = 2; i <= 400; i++)
    await store.apply([put('k', `${i - 1}`, i), put(`x${i % 50}`, VALUE, i)], at(i))
  writing.goesOn = false
  expect(await reading).toBeGreaterThan(0)
  expect(early.cursor.revision).toBe(1n)
  await store.close()
})

test('a value larger than a stretch and one larger than a read survive compaction', async () => {
  const path = join(await scratch(), 'log')
  const store = await AppendLogSnapshot.open({ path })
  const large = Buffer.alloc(3_000_000, 'large')
  await store.apply([put('a', 'v', 1), put('b', large, 1), put('c', 'v', 1)], at(1))
  await store.compact()
  await store.close()
  const reader = await AppendLogReader.open({ path })
  expect([...reader.keys()]).toEqual(['a', 'b', 'c'])
  expect(Buffer.compare(reader.get('b')!.value, large)).toBe(0)
})

test('a none cursor with and without a memo survives', async () => {
  const path = join(await scratch(), 'log')
  const store = await AppendLogSnapshot.open({ path })
  const memo = WatchCursor.fromToken(WatchCursor.none.token, { evictionSeen: true })
  await store.apply([put('a', 'v', 1)], memo)
  await store.compact()
  await store.close()
  expect((await AppendLogReader.open({ path })).cursor.toHex()).toBe(memo.toHex())
})

test('200,000 entries are loaded and compacted in short slices', async () => {
  const path = join(await scratch(), 'log')
  const store = await AppendLogSnapshot.open({ path, compact: false })
  const longest: Record<string, number> = {}
  const listen = (message: unknown): void => {
    const { work, ms } = message as SliceMessage
    longest[work] = Math.max(longest[work] ?? 0, ms)
  }
  for (let i = 0; i < 200_000; i += 1_000) {
    const batch: KvUpdate[] = []
    for (let j = i; j < i + 1_000; j++) batch.push(put(`route.eu.service-${j % 977}.${j}`, VALUE, j + 1))
    await store.apply(batch, at(i + 1_000))
  }
  subscribe('slip:slice', listen)
  await store.compact()
  await store.close()
  const again = await AppendLogSnapshot.open({ path })
  unsubscribe('slip:slice', listen)
  expect(again.stats.entries).toBe(200_000)
  await again.close()
  console.log(`longest slices in ms: ${JSON.stringify(longest)}`)
  expect(Object.keys(longest)).toEqual(expect.arrayContaining(['applog.compact', 'applog.load']))
  if (process.env['SLIP_STRICT_SLICES'] === '1') expect(Math.max(...Object.values(longest))).toBeLessThan(8)
})

describe('staging', () => {
  test('a crash before the commit leaves the old fold and no file; the staged one is damage-proof after it', async () => {
    const directory = await scratch()
    const path = join(directory, 'log')
    const store = await AppendLogSnapshot.open({ path })
    await store.apply([put('old', 'v', 1)], at(1))
    const staged = await store.stage()
    await staged.apply([put('new', 'v', 5)], at(5), { lineage: Uint8Array.of(3) })
    // What a crash here leaves, in another place.
    const crashed = join(await scratch(), 'log')
    await copyFile(path, crashed)
    await copyFile(`${path}.staged`, `${crashed}.staged`)
    const recovered = await AppendLogSnapshot.open({ path: crashed })
    expect([...recovered.keys()]).toEqual(['old'])
    await recovered.close()
    await expect(stat(`${crashed}.staged`)).rejects.toMatchObject({ code: 'ENOENT' })
    await staged.commit()
    await store.close()
    const bytes = await readFile(path)
    expect(await verifyAppendLog(path)).toMatchObject({ verdict: 'intact', entries: 1, bytes: bytes.length })
  })

  test('a commit whose rename fails leaves the old fold in use', async () => {
    const path = join(await scratch(), 'log')
    const files: FileSystem = {
      ...nodeFileSystem,
      rename: async () => {
        throw Object.assign(new Error('EIO: rename'), { code: 'EIO' })
      },
    }
    const store = await AppendLogSnapshot.open({ path }, files)
    await store.apply([put('old', 'v', 1)], at(1))
    const staged = await store.stage()
    await staged.apply([put('new', 'v', 5)], at(5))
    await expect(staged.commit()).rejects.toMatchObject({ code: 'Io' })
    expect([...store.keys()]).toEqual(['old'])
    await store.apply([put('more', 'v', 2)], at(2))
    await store.close()
    const reader = await AppendLogReader.open({ path })
    expect([...reader.keys()]).toEqual(['more', 'old'])
  })
})
