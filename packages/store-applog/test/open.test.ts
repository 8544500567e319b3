import { copyFile, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, test } from 'vitest'
import { AppendLogReader } from '../src/append-log-reader.ts'
import { AppendLogSnapshot } from '../src/append-log-snapshot.ts'
import { nodeFileSystem, type FileSystem } from '@slip/kv-core/store-parts'
import { GENERATION_2_HEADER } from '../src/log-header.ts'
import { SnapshotWriter } from '../src/snapshot-writer.ts'
import { verifyAppendLog } from '../src/verify-append-log.ts'
import { at, plain, put, scratch } from './scratch.ts'

const INTEROP = fileURLToPath(new URL('interop/', import.meta.url))
const HOME = process.cwd()

afterEach(() => process.chdir(HOME))

/** Puts one entry into the log at `path`, as a store and as a bare writer do. */
const WRITERS: Readonly<Record<string, (path: string) => Promise<void>>> = {
  AppendLogSnapshot: async (path) => {
    const store = await AppendLogSnapshot.open({ path, format: 2 })
    await store.apply([put('a', 'v', 1)], at(1))
    await store.close()
  },
  SnapshotWriter: async (path) => {
    const writer = await SnapshotWriter.open({ path, format: 2 })
    writer.write(put('a', 'v', 1))
    await writer.checkpoint(at(1))
    await writer.close()
  },
}

test.each(Object.keys(WRITERS))(
  'a file that ends within its first six bytes is a log that was not begun: %s goes on with it',
  async (who) => {
    for (let length = 0; length < GENERATION_2_HEADER.length; length++) {
      const path = join(await scratch(), 'log')
      await writeFile(path, GENERATION_2_HEADER.subarray(0, length))
      await WRITERS[who]!(path)
      expect(await verifyAppendLog(path), `${length} bytes`).toMatchObject({ verdict: 'intact', entries: 1 })
    }
  },
)

test.each(Object.keys(WRITERS))(
  "%s refuses a log of the Rust system's other generations, and leaves every byte of it",
  async (who) => {
    for (const name of ['version-1.snap', 'version-3.snap', 'bad-magic.snap']) {
      const path = join(await scratch(), name)
      await copyFile(join(INTEROP, name), path)
      const before = await readFile(path)
      await expect(WRITERS[who]!(path), name).rejects.toMatchObject({ code: 'InvalidFormat', path, at: 0 })
      expect((await readFile(path)).equals(before), name).toBe(true)
    }
  },
)

test.each([2, 3] as const)(
  'a log with a bare file name is compacted like any other, generation %i',
  async (format) => {
    process.chdir(await scratch())
    const path = 'log'
    const store = await AppendLogSnapshot.open({ path, format, compact: false })
    for (let i = 1; i <= 50; i++) await store.apply([put('a', `${i}`, i)], at(i))
    const { before, after } = await store.compact()
    expect(after).toBeLessThan(before / 4)
    await store.apply([put('b', 'v', 51)], at(51))
    await store.close()
    expect([...(await AppendLogReader.open({ path })).keys()]).toEqual(['a', 'b'])
  },
)

test.each([2, 3] as const)('a log is read once to be opened, generation %i', async (format) => {
  const path = join(await scratch(), 'log')
  const store = await AppendLogSnapshot.open({ path, format })
  for (let i = 1; i <= 200; i++) await store.apply([put(`k${i}`, new Uint8Array(20_000).fill(i), i)], at(i))
  const expected = plain(store)
  await store.close()
  let read = 0
  const again = await AppendLogSnapshot.open({ path, format }, counting({ read: (bytes) => (read += bytes) }))
  expect(plain(again)).toEqual(expected)
  await again.close()
  const { size } = await stat(path)
  expect(read).toBeGreaterThanOrEqual(size - 64)
  expect(read).toBeLessThan(1.05 * size)
})

test.each([2, 3] as const)(
  'a hydration with the default settings writes every entry once, generation %i',
  async (format) => {
    const path = join(await scratch(), 'log')
    let written = 0
    const files = counting({ write: (bytes) => (written += bytes) })
    const store = await AppendLogSnapshot.open({ path, format }, files)
    const value = new Uint8Array(1_000).fill(7)
    for (let i = 0; i < 48_000; i += 1_000)
      await store.apply(
        Array.from({ length: 1_000 }, (_, j) => put(`key.${i + j}`, value, i + j + 1)),
        at(i + 1_000),
      )
    await store.close()
    const { size } = await stat(path)
    expect(size).toBeGreaterThan(48_000_000)
    expect(written).toBeLessThan(1.01 * size)
  },
)

test.each([2, 3] as const)(
  'a log is loaded and compacted in pieces, never as a whole, generation %i',
  async (format) => {
    const path = join(await scratch(), 'log')
    const pieces = { read: 0, written: 0 }
    const files = counting({
      read: (bytes) => (pieces.read = Math.max(pieces.read, bytes)),
      write: (bytes) => (pieces.written = Math.max(pieces.written, bytes)),
    })
    const written = await AppendLogSnapshot.open({ path, format, compact: false })
    const value = new Uint8Array(4_000).fill(7)
    for (let i = 0; i < 12_000; i += 100)
      await written.apply(
        Array.from({ length: 100 }, (_, j) => put(`key.${(i + j) % 9_000}`, value, i + j + 1)),
        at(i + 100),
      )
    await written.close()
    const store = await AppendLogSnapshot.open({ path, format, compact: false }, files)
    expect(store.stats.entries).toBe(9_000)
    const { before, after } = await store.compact()
    await store.close()
    expect(before).toBeGreaterThan(48_000_000)
    expect(after).toBeGreaterThan(36_000_000)
    expect(pieces.read).toBeLessThan(before / 8)
    expect(pieces.written).toBeLessThan(after / 8)
  },
)

/** The real file system, with the bytes that pass told. */
function counting(told: { read?: (bytes: number) => void; write?: (bytes: number) => void }): FileSystem {
  return {
    ...nodeFileSystem,
    open: async (path, mode) => {
      const handle = await nodeFileSystem.open(path, mode)
      const read = handle.read.bind(handle)
      const write = handle.write.bind(handle)
      handle.read = async (...of) => {
        const done = await read(...of)
        told.read?.(done.bytesRead)
        return done
      }
      handle.write = async (...of) => {
        const done = await write(...of)
        told.write?.(done.bytesWritten)
        return done
      }
      return handle
    },
  }
}
