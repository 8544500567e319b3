import { execFile } from 'node:child_process'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { LmdbSnapshot, lmdb, verifyLmdb } from '@slip/store-lmdb'
import { expect, test, vi } from 'vitest'
import { OpenFold } from '../dist/open-fold.js'
import { at, plain, put, scratch } from './scratch.ts'

const run = promisify(execFile)
const FULL_DISK = fileURLToPath(new URL('full-disk-child.mjs', import.meta.url))
const FAILING_SYNC = fileURLToPath(new URL('failing-sync-child.mjs', import.meta.url))
const FILE = 'fold-00000001.mdb'

test('batch is durable with each apply, os at a sync and at close, an interval by itself', async () => {
  const directory = await scratch()
  const batch = await LmdbSnapshot.open({ path: join(directory, 'batch') })
  await batch.apply([put('a', '1', 1)], at(1))
  expect(batch.durableCursor.revision).toBe(1n)
  await batch.close()

  const os = await LmdbSnapshot.open({ path: join(directory, 'os'), durability: 'os' })
  await os.apply([put('a', '1', 1)], at(1))
  expect(os.durableCursor.isNone).toBe(true)
  expect((await os.sync()).revision).toBe(1n)
  await os.apply([put('a', '2', 2)], at(2))
  expect(os.durableCursor.revision).toBe(1n)
  expect(await readdir(join(directory, 'os'))).toContain('UNSYNCED')
  await os.close()
  expect([os.durableCursor.revision, await readdir(join(directory, 'os'))]).toEqual([
    2n,
    ['CURRENT', FILE, `${FILE}-lock`],
  ])

  const timed = await LmdbSnapshot.open({ path: join(directory, 'timed'), durability: { intervalMs: 20 } })
  await timed.apply([put('a', '1', 1)], at(1))
  await vi.waitFor(() => expect(timed.durableCursor.revision).toBe(1n), { timeout: 30_000 })
  await timed.close()
})

test('after a machine went down while commits were not synced, the whole structure is checked', async () => {
  const path = join(await scratch(), 'fold')
  const store = await LmdbSnapshot.open({ path, durability: 'os' })
  await store.apply(
    Array.from({ length: 500 }, (_, i) => put(`key.${i}`, 'v'.repeat(100), i + 1)),
    at(500),
  )
  await store.close()
  const bytes = await readFile(join(path, FILE))
  const leaf = bytes.indexOf(`key.250`)
  bytes.fill(0, leaf - (leaf % 4096), leaf - (leaf % 4096) + 4096)
  await writeFile(join(path, FILE), bytes)

  await (await LmdbSnapshot.open({ path, durability: 'os' })).close()
  await writeFile(join(path, 'UNSYNCED'), 'another boot')
  await expect(LmdbSnapshot.open({ path, durability: 'os' })).rejects.toMatchObject({ code: 'Corrupted' })
  const aside = await lmdb({ path }).setAside!()
  expect(await readdir(aside)).toContain(FILE)
})

test('after a failed sync nothing is called durable until the fold is in a new file', async () => {
  const path = join(await scratch(), 'fold')
  let store = await LmdbSnapshot.open({ path, durability: 'os' })
  await store.apply([put('a', '1', 1)], at(1), { lineage: Uint8Array.of(5) })
  const kept = await readFile(join(path, FILE))
  await rm(join(path, FILE))
  await expect(store.sync()).rejects.toMatchObject({ code: 'Io' })
  await expect(store.apply([], at(2))).rejects.toMatchObject({ code: 'Io' })
  expect([plain(store).length, store.durableCursor.isNone]).toEqual([1, true])
  await store.close()
  await writeFile(join(path, FILE), kept)
  expect(await readdir(path)).toContain('DOUBTFUL')

  store = await LmdbSnapshot.open({ path, durability: 'os' })
  expect([store.durableCursor.revision, plain(store).length, store.lineage]).toEqual([
    1n,
    1,
    Uint8Array.of(5),
  ])
  expect((await readdir(path)).filter((name) => !name.endsWith('-lock')).sort()).toEqual([
    'CURRENT',
    'UNSYNCED',
    'fold-00000002.mdb',
  ])
  await store.close()
})

test.for([
  ['the take-over', 'batch', 1, { failed: 'open', code: 'Io' }],
  ['a commit', 'batch', 2, { failed: 'apply', code: 'Io' }],
  ['what was there before', 'os', 1, { durable: false }],
] as const)(
  'a sync of %s that fails is remembered, and the next opener writes the fold anew',
  async ([, durability, when, said], context) => {
    const traces = await run('strace', ['-qq', '-o', '/dev/null', 'true']).then(
      () => true,
      () => false,
    )
    if (!traces) context.skip('there is no strace here, or it may not trace')
    const path = join(await scratch(), 'fold')
    const store = await LmdbSnapshot.open({ path })
    await store.apply([put('a', '1', 1)], at(1))
    await store.close()
    const calls = 'fsync,fdatasync,msync'
    const inject = `inject=${calls}:error=EIO:when=${when}+`
    const tracing = ['-f', '-qq', '-o', '/dev/null', '-P', join(path, FILE), '-e', `trace=${calls}`]
    const child = [process.execPath, FAILING_SYNC, path, durability]
    const { stdout } = await run('strace', [...tracing, '-e', inject, ...child])
    expect(JSON.parse(stdout)).toEqual(said)
    expect(await readdir(path)).toContain('DOUBTFUL')

    const next = await LmdbSnapshot.open({ path })
    expect([plain(next)[0]?.[0], next.durableCursor.equals(next.cursor)]).toEqual(['a', true])
    await next.close()
    expect((await readdir(path)).filter((name) => !name.endsWith('-lock')).sort()).toEqual([
      'CURRENT',
      'fold-00000002.mdb',
    ])
  },
)

test('where there is no room for a new file the fold goes on, and still nothing is called durable', async () => {
  const path = join(await scratch(), 'fold')
  const store = await LmdbSnapshot.open({ path })
  await store.apply([put('a', '1', 1)], at(1))
  await store.close()
  await writeFile(join(path, 'DOUBTFUL'), '')
  const script = `
    import { WatchCursor } from '@slip/kv-core'
    import { LmdbSnapshot } from '@slip/store-lmdb'
    const store = await LmdbSnapshot.open({ path: process.argv[1] })
    await store.apply([], WatchCursor.fromRevision(2n))
    await store.sync()
    console.log([store.cursor.revision, store.durableCursor.isNone, store.has('a')].join())
    await store.close()`
  const node = [process.execPath, '--input-type=module', '-e', script, path]
  const cwd = fileURLToPath(new URL('.', import.meta.url))
  const { stdout } = await run('sh', ['-c', 'ulimit -f 400; exec "$@"', 'sh', ...node], { cwd })
  expect(stdout).toBe('2,true,true\n')
  expect(await readdir(path)).toContain('DOUBTFUL')
  const after = await LmdbSnapshot.open({ path })
  expect(after.durableCursor.revision).toBe(2n)
  await after.close()
  expect(await readdir(path)).not.toContain('DOUBTFUL')
})

test.each(['batch', 'os'] as const)(
  'durability %s: a disk that is full refuses the apply, and what was acknowledged is there',
  async (durability) => {
    const path = join(await scratch(), 'fold')
    // `ulimit -f` counts 512-byte blocks.
    const limited = async (blocks: number): Promise<Record<string, unknown>> => {
      const command = `ulimit -f ${blocks}; exec "$0" "$@"`
      const { stdout } = await run('sh', ['-c', command, process.execPath, FULL_DISK, path, durability])
      return JSON.parse(stdout) as Record<string, unknown>
    }
    expect(await limited(64)).toMatchObject({ open: 'Io' })
    const said = await limited(2_048)
    expect(said).toMatchObject({ code: 'Io', after: 'Io' })
    expect(said['acknowledged']).toBeGreaterThan(3)
    expect(said['reads']).toBe(Number(said['acknowledged']) * 20)
    expect(await verifyLmdb(path)).toMatchObject({ verdict: 'intact' })
    const store = await LmdbSnapshot.open({ path, durability })
    expect(Number(store.cursor.revision)).toBe(said['acknowledged'])
    expect(store.stats.entries).toBe(Number(said['acknowledged']) * 20)
    await store.apply([put('after', 'v', 9_999)], at(9_999))
    await store.close()
  },
)

test('a writer that lost the fold while it was paused cannot commit', async () => {
  const path = join(await scratch(), 'fold')
  const store = await LmdbSnapshot.open({ path })
  await store.apply([put('a', '1', 1)], at(1))
  const [, , , id] = (await readFile(join(path, 'CURRENT'), 'latin1')).split(' ')
  // Another that came past the lock, as one on another machine could.
  const usurper = await OpenFold.open({
    file: join(path, FILE),
    foldId: Buffer.from(id!, 'hex'),
    make: false,
    check: 'head',
    synced: true,
    isRead: true,
    maxReaders: 512,
  })
  await usurper.apply([put('a', 'theirs', 2)], at(2), {})
  await expect(store.apply([put('a', 'ours', 2)], at(2))).rejects.toMatchObject({ code: 'Busy' })
  await usurper.close()
  await store.close()
  const reopened = await LmdbSnapshot.open({ path })
  expect(plain(reopened)).toEqual([['a', 'theirs', at(2).toHex()]])
  await reopened.close()
})

test('a directory where nothing can be made, or that is no directory, is a typed error', async () => {
  const directory = await scratch()
  await writeFile(join(directory, 'file'), '')
  await expect(LmdbSnapshot.open({ path: join(directory, 'file', 'fold') })).rejects.toMatchObject({
    code: 'Io',
  })
  const path = join(directory, 'fold')
  await (await LmdbSnapshot.open({ path })).close()
  await rm(join(path, `${FILE}-lock`))
  await mkdir(join(path, `${FILE}-lock`))
  await expect(LmdbSnapshot.open({ path })).rejects.toMatchObject({ code: 'Io' })
})
