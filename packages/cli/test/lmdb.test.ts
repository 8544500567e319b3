import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { encodeLineage, VersionToken, WatchCursor, type KvUpdate } from '@slip/kv-core'
import { AppendLogSnapshot } from '@slip/store-applog'
import { LmdbSnapshot } from '@slip/store-lmdb'
import { expect, test } from 'vitest'
import { ERROR_LINE, MAIN, slip, slipBatch, temporaryDirectory } from './slip.ts'

const FILE = 'fold-00000001.mdb'
const LINEAGE = encodeLineage({
  binding: {
    kind: 'nats',
    name: 'routes',
    incarnation: 'first',
    scope: [''],
    whenEvicted: 'drop',
    evictionSeen: false,
  },
  anchors: [],
})

function put(key: string, value: string, revision: bigint): KvUpdate {
  return { operation: 'put', key, value: Buffer.from(value), version: VersionToken.fromRevision(revision) }
}

/** Four entries and a deleted key at revision 6, and where they are. */
async function smallFold(): Promise<string> {
  const path = join(temporaryDirectory(), 'fold')
  const store = await LmdbSnapshot.open({ path, durability: 'os' })
  const gone = { operation: 'delete', key: 'gone', version: VersionToken.fromRevision(6n) } as const
  await store.apply(
    [put('r.b', 'two', 2n), put('s', 'four', 4n), put('r.a', 'one', 1n), put('r.c', 'three', 3n), gone],
    WatchCursor.fromRevision(6n),
    { lineage: LINEAGE },
  )
  await store.close()
  return path
}

/** The same with a byte of a value changed. */
async function damagedFold(): Promise<string> {
  const path = await smallFold()
  const file = join(path, FILE)
  const bytes = await readFile(file)
  bytes[bytes.lastIndexOf('three')]! ^= 1
  await writeFile(file, bytes)
  return path
}

const PAGE_BYTES = 4096
/** In the header of a page: where its list of nodes ends, two bytes for each. */
const LOWER_AT = 20

/** The same with a page that lost its last entry: what is left of it reads well. */
async function shortenedFold(): Promise<string> {
  const path = await smallFold()
  const file = join(path, FILE)
  const bytes = await readFile(file)
  const page = Math.floor(bytes.lastIndexOf('three') / PAGE_BYTES) * PAGE_BYTES
  bytes.writeUInt16LE(bytes.readUInt16LE(page + LOWER_AT) - 2, page + LOWER_AT)
  await writeFile(file, bytes)
  return path
}

test('get, ls and dump read it, with ranges', async () => {
  const fold = `lmdb:${await smallFold()}`
  const [get, absent, ls, dump, range] = await slipBatch(
    [
      ['get', fold, 'r.a'],
      ['get', fold, 'none'],
      ['ls', fold, 'r.'],
      ['dump', fold],
      ['ls', fold, '--gte', 'r.b', '--lt', 's', '--reverse', '--limit', '1'],
    ].map((args) => [...args, '--json']),
  )
  expect(get!.lines).toEqual([{ key: 'r.a', value: 'b25l', version: '0000000000000001', revision: 1 }])
  expect([absent!.code, absent!.stdout]).toEqual([1, ''])
  expect(ls!.lines.map(({ key }) => key)).toEqual(['r.a', 'r.b', 'r.c'])
  expect(dump!.lines.map(({ key, revision }) => [key, revision])).toEqual([
    ['r.a', 1],
    ['r.b', 2],
    ['r.c', 3],
    ['s', 4],
  ])
  expect(range!.lines.map(({ key }) => key)).toEqual(['r.c'])
  for (const { stderr } of [get!, absent!, ls!, dump!, range!]) expect(stderr).toBe('')
})

test('inspect says what it is, also of a bare path, and how its file is used', async () => {
  const path = await smallFold()
  for (const given of [`lmdb:${path}`, path]) {
    const { code, lines } = await slip(['inspect', given, '--json'])
    expect(code).toBe(0)
    expect(lines).toEqual([
      {
        kind: 'fold',
        backend: 'lmdb',
        generation: 2,
        cursor: '0000000000000006',
        revision: 6,
        entries: 4,
        bytes: (await stat(join(path, FILE))).size,
        binding: expect.objectContaining({ kind: 'nats', name: 'routes', scope: [''] }),
        recovery: null,
        holder: null,
        freeBytes: expect.any(Number),
        mapBytes: expect.any(Number),
        maxReaders: 512,
        readers: 0,
        oldestReader: null,
      },
    ])
  }
})

test('beside a writer it is read at one commit, the writer is named, and a writing command is exit 5', async () => {
  const path = await smallFold()
  const writer = await LmdbSnapshot.open({ path })
  const view = writer.view()
  for (let i = 7n; i < 10n; i++) await writer.apply([put('n', `${i}`, i)], WatchCursor.fromRevision(i))
  try {
    const fold = `lmdb:${path}`
    const [get, inspect, verify, compact, waited] = await slipBatch(
      [
        ['get', fold, 'n'],
        ['inspect', fold],
        ['verify', path],
        ['compact', fold],
        ['compact', fold, '--wait-lock', '300ms'],
      ].map((args) => [...args, '--json']),
    )
    expect(get!.lines[0]).toMatchObject({ revision: 9 })
    expect(inspect!.lines[0]).toMatchObject({
      revision: 9,
      holder: { pid: process.pid, host: hostname() },
      oldestReader: { pid: process.pid, behind: 3 },
    })
    expect(inspect!.lines[0]!['readers']).toBe(2)
    expect([verify!.code, verify!.lines[0]!['verdict'], verify!.lines[0]!['revision']]).toEqual([
      0,
      'intact',
      9,
    ])
    for (const { code, stderr } of [compact!, waited!]) {
      expect(code).toBe(5)
      expect(stderr).toMatch(ERROR_LINE)
      expect(stderr).toContain('(Busy)')
      expect(stderr).toContain(String(process.pid))
      expect(stderr).toContain(hostname())
    }
  } finally {
    view.close()
    await writer.close()
  }
})

test('compact --wait-lock waits for the other writer to let go', async () => {
  const path = await smallFold()
  const writer = await LmdbSnapshot.open({ path })
  const compacting = slip(['compact', `lmdb:${path}`, '--wait-lock', '60s'])
  await delay(3_000)
  await writer.close()
  expect(await compacting).toMatchObject({ code: 0, stderr: '' })
})

test('verify gives a verdict for what is there, and the worst exit code', async () => {
  const path = await smallFold()
  const damaged = await damagedFold()
  const directory = temporaryDirectory()
  const [born, notes, letter, none] = ['born', 'notes', 'letter', 'none'].map((name) => join(directory, name))
  await mkdir(born!)
  await mkdir(notes!)
  await writeFile(join(notes!, 'a.txt'), 'mine')
  await writeFile(letter!, 'this is a letter')
  const [good, bad, missing] = await slipBatch([
    ['verify', path, `lmdb:${path}`, `lmdb:${born}`, '--json'],
    ['verify', damaged, notes!, `lmdb:${notes}`, `lmdb:${letter}`, `lmdb:${none}`, path, '--json'],
    ['verify', `lmdb:${none}`, path, '--json'],
  ])
  const { size } = await stat(join(path, FILE))
  expect([good!.code, good!.stderr]).toEqual([0, ''])
  const intact = { verdict: 'intact', at: size, bytes: size, generation: 2, entries: 4, revision: 6 }
  expect(good!.lines).toEqual([
    { path, ...intact, cursor: '0000000000000006' },
    { path: `lmdb:${path}`, ...intact, cursor: '0000000000000006' },
    expect.objectContaining({ path: `lmdb:${born}`, verdict: 'intact', entries: 0, cursor: '' }),
  ])
  expect(bad!.code).toBe(4)
  expect(bad!.lines.map(({ verdict }) => verdict)).toEqual([
    'corrupt',
    'foreign',
    'foreign',
    'foreign',
    'missing',
    'intact',
  ])
  expect(bad!.lines[0]).toMatchObject({ at: expect.any(Number), bytes: size, entries: null })
  expect([missing!.code, missing!.lines.map(({ verdict }) => verdict)]).toEqual([2, ['missing', 'intact']])
  const [dump, get] = await slipBatch([
    ['dump', `lmdb:${born}`, '--json'],
    ['get', `lmdb:${born}`, 'a', '--json'],
  ])
  expect([dump!.code, dump!.stdout, get!.code]).toEqual([0, '', 1])
})

test('damage: no entries, exit 4, and the file is untouched', async () => {
  const path = await damagedFold()
  const fold = `lmdb:${path}`
  const before = await readFile(join(path, FILE))
  const target = join(temporaryDirectory(), 'none')
  const read = await slipBatch([
    ['dump', fold],
    ['ls', fold],
    ['get', fold, 'r.c'],
    ['convert', fold, `lmdb:${target}`],
  ])
  expect(read.map(({ code, stdout }) => [code, stdout])).toEqual(read.map(() => [4, '']))
  for (const { stderr } of read) expect(stderr).toMatch(ERROR_LINE)
  for (const { stderr } of read) expect(stderr).toContain('(Corrupted)')
  expect((await readFile(join(path, FILE))).equals(before)).toBe(true)
  await expect(stat(target)).rejects.toThrow('ENOENT')
  // What cannot be opened at all.
  await writeFile(join(path, FILE), before.subarray(0, 5_000))
  const opened = await slipBatch([
    ['get', fold, 'a'],
    ['inspect', fold],
    ['compact', fold],
  ])
  expect(opened.map(({ code }) => code)).toEqual([4, 4, 4])
  for (const { stderr } of opened) expect(stderr).toMatch(ERROR_LINE)
})

test('damage that no read meets is found before anything is read: no entries, no copy, exit 4', async () => {
  const path = await shortenedFold()
  const fold = `lmdb:${path}`
  const directory = temporaryDirectory()
  const [log, copy, exported] = ['f.slip', 'copy', 'artifact'].map((name) => join(directory, name))
  const [get, ...read] = await slipBatch([
    ['get', fold, 'r.a'],
    ['dump', fold],
    ['ls', fold],
    ['convert', fold, `log:${log}`],
    ['convert', fold, `lmdb:${copy}`],
    ['export', fold, exported!],
    ['diff', fold, 'routes', '--server', 'nats://127.0.0.1:1'],
  ])
  expect(get!.stdout).toBe('one\n')
  expect(read.map(({ code, stdout }) => [code, stdout])).toEqual(read.map(() => [4, '']))
  for (const { stderr } of read) expect(stderr).toContain('(Corrupted)')
  expect(await readdir(directory)).toEqual([])
})

test('a fold that is not there is exit 2, what somebody else keeps there exit 4, and nothing is created', async () => {
  const directory = temporaryDirectory()
  await mkdir(join(directory, 'theirs'))
  await writeFile(join(directory, 'theirs', 'notes.txt'), 'mine')
  const on = (name: string): string[][] =>
    [['get', 'a'], ['dump'], ['inspect'], ['compact']].map(([command, ...more]) => [
      command!,
      `lmdb:${join(directory, name)}`,
      ...more,
    ])
  const [missing, foreign] = [
    await slipBatch([...on('none'), ...on(join('theirs', 'notes.txt', 'below'))]),
    await slipBatch(on('theirs')),
  ]
  for (const { code, stderr } of missing)
    expect([code, stderr]).toEqual([2, expect.stringContaining('(NotFound)')])
  for (const { code, stderr } of foreign)
    expect([code, stderr]).toEqual([4, expect.stringContaining('(InvalidFormat)')])
  expect(await readdir(directory)).toEqual(['theirs'])
  expect(await readdir(join(directory, 'theirs'))).toEqual(['notes.txt'])
})

test('compact gives the free pages back and keeps the state', async () => {
  const path = await smallFold()
  const store = await LmdbSnapshot.open({ path, durability: 'os' })
  for (let i = 7n; i <= 200n; i++)
    await store.apply([put('a', 'x'.repeat(9_000), i)], WatchCursor.fromRevision(i))
  const big = Array.from({ length: 300 }, (_, i) => put(`b${i}`, 'x'.repeat(3_000), 201n))
  await store.apply(big, WatchCursor.fromRevision(201n))
  await store.apply(
    big.map(({ key, version }) => ({ operation: 'delete', key, version })),
    WatchCursor.fromRevision(202n),
  )
  await store.close()
  const [dumped, compacted, inspect, dump, verify] = await slipBatch(
    [
      ['dump', `lmdb:${path}`],
      ['compact', `lmdb:${path}`],
      ['inspect', path],
      ['dump', `lmdb:${path}`],
      ['verify', path],
    ].map((args) => [...args, '--json']),
  )
  expect(compacted!.code).toBe(0)
  const { before, after, seconds } = compacted!.lines[0] as { before: number; after: number; seconds: number }
  expect(after).toBeLessThan(before / 4)
  expect(seconds).toBeGreaterThanOrEqual(0)
  expect(inspect!.lines[0]).toMatchObject({ entries: 5, revision: 202, bytes: after })
  expect(dump!.stdout).toBe(dumped!.stdout)
  expect(verify!.code).toBe(0)
})

test('convert carries state, binding and deleted keys between logs and LMDB, and never over a fold', async () => {
  const path = await smallFold()
  const directory = temporaryDirectory()
  const [log, back, two] = ['f.slip', 'back', 'two.snap'].map((name) => join(directory, name))
  const commands = [
    ['convert', `lmdb:${path}`, `log:${log}`],
    ['convert', `log:${log}`, `lmdb:${back}`],
    ['convert', `lmdb:${back}`, `log:${two}`, '--format', '2'],
    ['dump', `lmdb:${path}`],
    ['dump', `lmdb:${back}`],
    ['dump', `log:${two}`],
    ['inspect', log!],
    ['inspect', back!],
    ['convert', `log:${log}`, `lmdb:${back}`],
    ['convert', `lmdb:${path}`, `log:${log}`],
  ]
  const results = await slipBatch(commands.map((args) => [...args, '--json']))
  expect(results.map(({ code }) => code)).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 2, 2])
  expect(results[0]!.lines).toEqual([
    { entries: 4, bytes: (await stat(log!)).size, cursor: '0000000000000006' },
  ])
  expect(results[1]!.lines[0]).toMatchObject({ entries: 4, cursor: '0000000000000006' })
  for (const i of [4, 5]) expect(results[i]!.stdout).toBe(results[3]!.stdout)
  for (const i of [6, 7]) expect(results[i]!.lines[0]).toMatchObject({ binding: { name: 'routes' } })
  for (const i of [8, 9]) expect(results[i]!.stderr).toContain('(AlreadyExists)')
  const store = await LmdbSnapshot.open({ path: back! })
  expect([...store.deletedKeys()].map(({ key }) => key)).toEqual(['gone'])
  await store.close()
})

test('who names no fold of LMDB does not load it', async () => {
  const path = join(temporaryDirectory(), 'f.slip')
  await (await AppendLogSnapshot.open({ path })).close()
  const loaded = async (fold: string): Promise<boolean> => {
    const program = `
      const { run } = await import(${JSON.stringify(new URL('index.js', `file://${MAIN}`).href)})
      await run(['ls', ${JSON.stringify(fold)}])
      console.log(process.report.getReport().sharedObjects.some((name) => name.includes('lmdb')))`
    const child = spawn(process.execPath, ['--input-type=module', '-e', program])
    let stdout = ''
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
    await once(child, 'close')
    return JSON.parse(stdout.trim().split('\n').at(-1)!) as boolean
  }
  expect(await loaded(`log:${path}`)).toBe(false)
  expect(await loaded(`lmdb:${await smallFold()}`)).toBe(true)
})
