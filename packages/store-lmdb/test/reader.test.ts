import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { LmdbReader, LmdbSnapshot } from '@slip/store-lmdb'
import { expect, test, vi } from 'vitest'
import { at, del, plain, put, scratch } from './scratch.ts'

const CHILD = fileURLToPath(new URL('reader-child.mjs', import.meta.url))
const READ_MS = Number(process.env['SLIP_READ_MS'] ?? 4_000)
const READERS = Number(process.env['SLIP_READERS'] ?? 2)

/** Each commit gives every key its own revision, so that any mixture of two shows. */
function commit(revision: number): ReturnType<typeof put>[] {
  return Array.from({ length: 40 }, (_, i) => put(`k${i}`, `${revision}`, revision))
}

test(
  `${READERS} processes read for ${READ_MS} ms beside a writer: each view is one commit, none is older than the last`,
  async () => {
    const path = join(await scratch(), 'fold')
    const store = await LmdbSnapshot.open({ path, durability: 'os' })
    await store.apply(commit(1), at(1))
    const readers = Array.from({ length: READERS }, () => startReader(path))
    await Promise.all(readers.map(async ({ started }) => started))
    let revision = 1
    const ended = new AbortController()
    const results = Promise.all(readers.map(async ({ result }) => result)).finally(() => ended.abort())
    while (!ended.signal.aborted) {
      revision++
      await store.apply(commit(revision), at(revision))
      // In the middle of it all the whole fold is replaced, and goes on.
      if (revision % 150 === 0) {
        const staged = await store.stage()
        revision++
        await staged.apply(commit(revision), at(revision))
        await staged.commit()
      }
    }
    for (const said of await results) {
      expect(said.wrong).toEqual([])
      expect(said.cursors).toBeGreaterThan(3)
      console.log(`${said.views} views of ${said.cursors} commits`)
    }
    const { size } = await stat(
      join(
        path,
        (await readdir(path))
          .filter((name) => name.endsWith('.mdb'))
          .sort()
          .at(-1)!,
      ),
    )
    console.log(`${revision} commits, the file has ${size} bytes`)
    expect(size).toBeLessThan(16 * 1024 * 1024)
    await store.close()
  },
  120_000 + READ_MS,
)

test('a reader stays at its commit until it is refreshed, and its views after that', async () => {
  const path = join(await scratch(), 'fold')
  const store = await LmdbSnapshot.open({ path })
  await store.apply([put('a', '1', 1), del('gone', 2)], at(2), { lineage: Uint8Array.of(7) })
  const reader = await LmdbReader.open({ path })
  const view = reader.view()
  await store.apply([put('a', '2', 3), put('b', '3', 4)], at(4))
  expect([reader.cursor.revision, plain(reader).length]).toEqual([2n, 1])
  expect([...reader.deletedKeys()].map(({ key }) => key)).toEqual(['gone'])
  expect([reader.lineage, reader.stats.entries]).toEqual([Uint8Array.of(7), 1])
  expect(reader.refresh().revision).toBe(4n)
  expect(reader.has('b')).toBe(true)
  expect([view.cursor.revision, view.has('b')]).toEqual([2n, false])
  view.close()
  await reader.close()
  await store.close()
  expect(() => reader.get('a')).toThrow(expect.objectContaining({ code: 'Closed' }))
})

test('waitFor resolves at the revision, also across a swap, and times out with a typed error', async () => {
  const path = join(await scratch(), 'fold')
  const store = await LmdbSnapshot.open({ path })
  await store.apply([put('a', '1', 1)], at(1))
  const reader = await LmdbReader.open({ path })
  await expect(reader.waitFor(5n, { timeoutMs: 20 })).rejects.toMatchObject({ code: 'Timeout' })
  const view = reader.view()
  const staged = await store.stage()
  await staged.apply([put('rebuilt', 'v', 5)], at(5))
  expect(reader.refresh().revision).toBe(1n)
  await staged.commit()
  await reader.waitFor(5n, { timeoutMs: 60_000 })
  expect([...reader.keys()]).toEqual(['rebuilt'])
  expect([...view.keys()]).toEqual(['a'])
  view.close()
  await reader.close()
  await store.close()
})

test('before the first writer there is nothing to read, and asking makes nothing', async () => {
  const path = join(await scratch(), 'fold')
  await expect(LmdbReader.open({ path })).rejects.toMatchObject({ code: 'NotFound' })
  await expect(stat(path)).rejects.toMatchObject({ code: 'ENOENT' })
  await mkdir(path)
  await expect(LmdbReader.open({ path })).rejects.toMatchObject({ code: 'NotFound' })
  await writeFile(join(path, 'notes.txt'), 'mine')
  await expect(LmdbReader.open({ path })).rejects.toMatchObject({ code: 'InvalidFormat', at: 0 })
})

test('a process may read a fold first and write it later, in any order of closing', async () => {
  const path = join(await scratch(), 'fold')
  await (await LmdbSnapshot.open({ path })).close()
  const reader = await LmdbReader.open({ path })
  for (let revision = 1; revision <= 3; revision++) {
    const store = await LmdbSnapshot.open({ path })
    await store.apply([put('a', `${revision}`, revision)], at(revision))
    expect(reader.refresh().revision).toBe(BigInt(revision))
    await store.close()
    expect(Buffer.from(reader.get('a')!.value).toString()).toBe(`${revision}`)
  }
  await reader.close()
})

test('a reader that keeps a file open without syncing keeps nobody’s promise of syncing from being known', async () => {
  const path = join(await scratch(), 'fold')
  const os = await LmdbSnapshot.open({ path, durability: 'os' })
  const reader = await LmdbReader.open({ path })
  await os.close()
  await expect(LmdbSnapshot.open({ path, durability: 'batch' })).rejects.toMatchObject({ code: 'Busy' })
  await (await LmdbSnapshot.open({ path, durability: 'os' })).close()
  await reader.close()
  await (await LmdbSnapshot.open({ path, durability: 'batch' })).close()
})

test('a reader that comes and goes in the process of the writer leaves its transactions alive for other processes', async () => {
  const path = join(await scratch(), 'fold')
  const store = await LmdbSnapshot.open({ path, durability: 'os' })
  await store.apply(commit(1), at(1))
  const view = store.view()
  await (await LmdbReader.open({ path })).close()
  // Who opens a fold clears the readers of processes that seem dead.
  const other = startReader(path, 0)
  expect((await other.result).wrong).toEqual([])
  for (let revision = 2; revision < 50; revision++) await store.apply(commit(revision), at(revision))
  expect(new Set(plain(view).map(([, value]) => value))).toEqual(new Set(['1']))
  view.close()
  await store.close()
})

test('readers that were killed give their slots back, and do not make the file grow', async () => {
  const path = join(await scratch(), 'fold')
  const store = await LmdbSnapshot.open({ path, durability: 'os', maxReaders: 8 })
  await store.apply(commit(1), at(1))
  for (let i = 0; i < 12; i++) {
    const { child, started, result } = startReader(path)
    await started
    child.kill('SIGKILL')
    await expect(result).rejects.toThrow()
  }
  const reader = await LmdbReader.open({ path, maxReaders: 8 })
  expect(reader.cursor.revision).toBe(1n)
  await reader.close()
  await store.close()
})

test('a reader that stands still lets the file grow, and no more once it is killed', async () => {
  const path = join(await scratch(), 'fold')
  const store = await LmdbSnapshot.open({ path, durability: 'os' })
  let revision = 0
  const grown = async (): Promise<number> => {
    const before = store.stats.bytes
    for (let i = 0; i < 100; i++) {
      revision++
      const batch = Array.from({ length: 40 }, (_, j) =>
        put(`k${j}`, `${revision}`.padStart(16_000), revision),
      )
      await store.apply(batch, at(revision))
    }
    return store.stats.bytes - before
  }
  await grown()
  const { child, started, result } = startReader(path)
  await started
  child.kill('SIGSTOP')
  expect(await grown()).toBeGreaterThan(40e6)
  expect(store.clearedReaders).toBe(0)
  child.kill('SIGKILL')
  await expect(result).rejects.toThrow()
  expect(await grown()).toBeLessThan(20e6)
  expect(store.clearedReaders).toBeGreaterThan(0)
  expect(await grown()).toBeLessThan(4e6)
  await store.close()
})

test('a reader that was killed is cleared away in time where nothing is written, and counted whatever file is in use', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  try {
    const path = join(await scratch(), 'fold')
    const store = await LmdbSnapshot.open({ path, durability: 'os', walk: false })
    await store.apply(commit(1), at(1))
    const { child, started, result } = startReader(path)
    await started
    child.kill('SIGKILL')
    await expect(result).rejects.toThrow()
    expect(store.clearedReaders).toBe(0)
    vi.advanceTimersByTime(30_000)
    await vi.waitUntil(async () => {
      await new Promise((resolve) => setTimeout(resolve, 20))
      return store.clearedReaders > 0
    }, 30_000)
    const cleared = store.clearedReaders
    await store.compact()
    expect(store.clearedReaders).toBe(cleared)
    await store.close()
  } finally {
    vi.useRealTimers()
  }
})

function startReader(
  path: string,
  ms = READ_MS,
): {
  readonly child: ReturnType<typeof spawn>
  readonly started: Promise<unknown>
  readonly result: Promise<{ views: number; cursors: number; wrong: string[] }>
} {
  const child = spawn(process.execPath, [CHILD, path, `${ms}`], { stdio: ['ignore', 'pipe', 'inherit'] })
  let said = ''
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString()
  })
  const started = once(child.stdout, 'data')
  const result = once(child, 'close').then(([code, signal]) => {
    if (code !== 0) throw new Error(`a reader ended with ${String(code)} ${String(signal)}`)
    return JSON.parse(said.slice(said.indexOf('{')))
  })
  return { child, started, result }
}
