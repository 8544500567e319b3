import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, readdir, readFile, stat, symlink, truncate, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { VersionToken, WatchCursor, type KvUpdate } from '@slip/kv-core'
import { AppendLogSnapshot } from '@slip/store-applog'
import { expect, test } from 'vitest'
import { ERROR_LINE, MAIN, slip, slipBatch, temporaryDirectory } from './slip.ts'

const REVISION_ABOVE_JSON = 2n ** 53n

async function foldWith(
  updates: readonly KvUpdate[],
  cursor: WatchCursor,
  format: 2 | 3 = 3,
): Promise<string> {
  const path = join(temporaryDirectory(), 'f.slip')
  const store = await AppendLogSnapshot.open({ path, format })
  await store.apply(updates, cursor)
  await store.close()
  return path
}

function put(key: string, value: string, revision: bigint): KvUpdate {
  return { operation: 'put', key, value: Buffer.from(value), version: VersionToken.fromRevision(revision) }
}

async function smallFold(format: 2 | 3 = 3): Promise<string> {
  return await foldWith(
    [put('r.b', 'two', 2n), put('s', 'four', 4n), put('r.a', 'one', 1n), put('r.c', 'three', 3n)],
    WatchCursor.fromRevision(5n),
    format,
  )
}

test('get prints the value of a key, and exits 1 without a word when it is absent', async () => {
  const path = await smallFold()
  expect(await slip(['get', `log:${path}`, 'r.a'])).toMatchObject({ code: 0, stdout: 'one\n', stderr: '' })
  const { lines } = await slip(['get', `log:${path}`, 'r.a', '--json'])
  expect(lines).toEqual([{ key: 'r.a', value: 'b25l', version: '0000000000000001', revision: 1 }])
  expect(await slip(['get', `log:${path}`, 'none', '--json'])).toMatchObject({
    code: 1,
    stdout: '',
    stderr: '',
  })
})

test('a revision above 2^53-1 is a string, one of another engine is null', async () => {
  const stamp = { ...put('b', 'y', 0n), version: VersionToken.fromHex('00000000000000000001') }
  const path = await foldWith([put('a', 'x', REVISION_ABOVE_JSON), stamp], WatchCursor.none)
  const { lines } = await slip(['ls', `log:${path}`, '--json'])
  expect(lines).toEqual([
    { key: 'a', version: '0020000000000000', revision: '9007199254740992' },
    { key: 'b', version: '00000000000000000001', revision: null },
  ])
})

test.each([
  [[], ['r.a', 'r.b', 'r.c', 's']],
  [['r.'], ['r.a', 'r.b', 'r.c']],
  [
    ['r.', '--reverse'],
    ['r.c', 'r.b', 'r.a'],
  ],
  [
    ['--gte', 'r.b', '--lt', 's'],
    ['r.b', 'r.c'],
  ],
  [
    ['--limit', '2'],
    ['r.a', 'r.b'],
  ],
  [['--reverse', '--limit', '1'], ['s']],
])('ls and dump with %j', async (flags, keys) => {
  const path = await smallFold()
  const results = await slipBatch(['ls', 'dump'].map((name) => [name, `log:${path}`, ...flags, '--json']))
  for (const { code, lines } of results) expect([code, lines.map(({ key }) => key)]).toEqual([0, keys])
})

test('dump gives all of an entry', async () => {
  const path = await smallFold()
  const { lines } = await slip(['dump', `log:${path}`, 's', '--json'])
  expect(lines).toEqual([{ key: 's', value: 'Zm91cg==', version: '0000000000000004', revision: 4 }])
  expect((await slip(['dump', `log:${path}`, 's'])).stdout).toBe('s\tfour\n')
})

test('dump into a reader that leaves early ends quietly', async () => {
  const many = Array.from({ length: 20_000 }, (_, i) => put(`key.${i}`, 'x'.repeat(100), BigInt(i + 1)))
  const path = await foldWith(many, WatchCursor.fromRevision(20_000n))
  for (const command of ['dump', 'ls']) {
    const child = spawn('sh', [
      '-c',
      `"$0" "$1" ${command} "$2" --json | head -n 1`,
      process.execPath,
      MAIN,
      `log:${path}`,
    ])
    let output = ''
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()))
    await once(child, 'close')
    expect(output.trim().split('\n')).toHaveLength(1)
    expect(output).toContain('"key":"key.0"')
  }
})

test('inspect says what a fold is', async () => {
  const path = await smallFold()
  for (const given of [`log:${path}`, path]) {
    const { code, lines } = await slip(['inspect', given, '--json'])
    expect(code).toBe(0)
    expect(lines).toEqual([
      {
        kind: 'fold',
        backend: 'append-log',
        generation: 3,
        cursor: '0000000000000005',
        revision: 5,
        entries: 4,
        bytes: (await stat(path)).size,
        binding: null,
        recovery: null,
        holder: null,
      },
    ])
  }
})

test('a reading command works beside a writer and names it; a writing one is exit 5 and names it too', async () => {
  const path = await smallFold()
  const writer = await AppendLogSnapshot.open({ path })
  try {
    expect((await slip(['get', `log:${path}`, 's'])).stdout).toBe('four\n')
    const { lines } = await slip(['inspect', `log:${path}`, '--json'])
    expect(lines[0]!['holder']).toMatchObject({ pid: process.pid })
    const { code, stderr } = await slip(['compact', `log:${path}`])
    expect(code).toBe(5)
    expect(stderr).toMatch(ERROR_LINE)
    expect(stderr).toContain('(Busy)')
    expect(stderr).toContain(String(process.pid))
    expect(stderr).toContain(hostname())
    const from = performance.now()
    expect((await slip(['compact', `log:${path}`, '--wait-lock', '700ms'])).code).toBe(5)
    expect(performance.now() - from).toBeGreaterThan(700)
  } finally {
    await writer.close()
  }
})

test('--wait-lock waits for the holder to let go', async () => {
  const path = await smallFold()
  const writer = await AppendLogSnapshot.open({ path })
  setTimeout(() => void writer.close(), 1_000)
  expect((await slip(['compact', `log:${path}`, '--wait-lock', '20s'])).code).toBe(0)
})

test('verify gives one verdict a path and the worst exit code', async () => {
  const path = await smallFold()
  const directory = temporaryDirectory()
  const foreign = join(directory, 'foreign')
  await writeFile(foreign, 'this is a letter, and no fold at all')
  const torn = join(directory, 'torn')
  await copyFile(path, torn)
  await truncate(torn, (await stat(path)).size - 1)
  const born = join(directory, 'born')
  await writeFile(born, '')
  const good = await slip(['verify', path, `log:${torn}`, born, '--json'])
  expect(good.code).toBe(0)
  expect(good.lines.map(({ path: as, verdict }) => [as, verdict])).toEqual([
    [path, 'intact'],
    [`log:${torn}`, 'torn'],
    [born, 'intact'],
  ])
  expect(good.lines[0]).toMatchObject({ generation: 3, entries: 4, cursor: '0000000000000005', revision: 5 })
  const none = join(directory, 'none')
  const loop = join(directory, 'loop')
  await symlink(loop, loop)
  const [bad, missing, below] = await slipBatch([
    ['verify', directory, loop, foreign, path, none, '--json'],
    ['verify', path, none, '--json'],
    ['verify', join(path, 'below'), path, '--json'],
  ])
  expect([bad!.code, bad!.stderr]).toEqual([4, ''])
  expect(bad!.lines.map(({ verdict }) => verdict)).toEqual([
    'foreign',
    'missing',
    'foreign',
    'intact',
    'missing',
  ])
  expect(bad!.lines.at(-1)).toEqual({
    path: none,
    verdict: 'missing',
    at: null,
    bytes: null,
    generation: null,
    entries: null,
    cursor: null,
    revision: null,
  })
  expect([missing!.code, below!.code]).toEqual([2, 2])
  expect(below!.lines.map(({ verdict }) => verdict)).toEqual(['missing', 'intact'])
})

test('a torn tail: what is before it is given with a warning, exit 0, and the file is untouched', async () => {
  const path = await tornFold()
  const before = await readFile(path)
  const log = `log:${path}`
  const converted = join(temporaryDirectory(), 'c.slip')
  const [dump, ls, get, absent, convert, quiet] = await slipBatch([
    ['dump', log, '--json'],
    ['ls', log, '--json'],
    ['get', log, 'a', '--json'],
    ['get', log, 'b', '--json'],
    ['convert', log, `log:${converted}`, '--json'],
    ['dump', log, '--json', '--quiet'],
  ])
  for (const { lines } of [dump!, ls!, get!, quiet!]) expect(lines.map(({ key }) => key)).toEqual(['a'])
  expect([dump, ls, get, absent, convert, quiet].map((result) => result!.code)).toEqual([0, 0, 0, 1, 0, 0])
  for (const { stderr } of [dump!, ls!, get!, absent!, convert!]) expect(stderr).toContain('unfinished')
  expect(quiet!.stderr).toBe('')
  expect((await readFile(path)).equals(before)).toBe(true)
})

test('beside a writer an unfinished last write is no news', async () => {
  const path = await tornFold()
  const torn = await readFile(path)
  const writer = await AppendLogSnapshot.open({ path })
  try {
    // What the file looks like while the writer is in the middle of a write.
    await writeFile(path, torn)
    expect(await slip(['dump', `log:${path}`])).toMatchObject({ code: 0, stdout: 'a\t1\n', stderr: '' })
  } finally {
    await writer.close()
  }
})

test('compact cuts a torn tail, says so, and counts it', async () => {
  const path = await tornFold()
  const { size } = await stat(path)
  const { code, lines, stderr } = await slip(['compact', `log:${path}`, '--json'])
  expect([code, stderr]).toEqual([0, expect.stringContaining('unfinished')])
  expect(lines[0]).toMatchObject({ before: size, after: (await stat(path)).size })
})

async function tornFold(): Promise<string> {
  const path = join(temporaryDirectory(), 'f.slip')
  const store = await AppendLogSnapshot.open({ path, compact: false })
  await store.apply([put('a', '1', 1n)], WatchCursor.fromRevision(1n))
  await store.apply([put('b', '2', 2n)], WatchCursor.fromRevision(2n))
  await store.close()
  await truncate(path, (await stat(path)).size - 3)
  return path
}

test('a damaged fold: no entries, exit 4, and the file is untouched', async () => {
  const path = await smallFold()
  const bytes = await readFile(path)
  bytes[Math.floor(bytes.length / 2)]! ^= 1
  // A whole frame behind it shows that this is damage and not an unfinished write.
  const store = await AppendLogSnapshot.open({ path })
  await store.apply([put('z', 'z', 9n)], WatchCursor.fromRevision(9n))
  await store.close()
  const longer = await readFile(path)
  longer.set(bytes)
  await writeFile(path, longer)
  for (const args of [['dump'], ['ls'], ['inspect']]) {
    const { code, stdout, stderr } = await slip([...args, `log:${path}`])
    expect([args, code, stdout]).toEqual([args, 4, ''])
    expect(stderr).toMatch(ERROR_LINE)
  }
  expect((await slip(['verify', path, '--json'])).lines[0]).toMatchObject({ verdict: 'corrupt' })
  expect((await readFile(path)).equals(longer)).toBe(true)
})

test('a fold that is not there, or cannot be for a file in its way, is exit 2, and nothing is created', async () => {
  const directory = temporaryDirectory()
  const path = join(directory, 'none.slip')
  await writeFile(join(directory, 'file'), '')
  const below = join(directory, 'file', 'below')
  const missing = await slipBatch([
    ['get', `log:${path}`, 'a'],
    ['dump', `log:${path}`],
    ['inspect', path],
    ['compact', `log:${path}`],
    ['get', `log:${below}`, 'a'],
    ['inspect', below],
    ['compact', `log:${below}`],
  ])
  for (const { code, stderr } of missing)
    expect([code, stderr]).toEqual([2, expect.stringContaining('(NotFound)')])
  expect(await readdir(directory)).toEqual(['file'])
})

test.each([2, 3] as const)('compact keeps the state and the generation %i', async (format) => {
  const path = join(temporaryDirectory(), 'f.slip')
  const store = await AppendLogSnapshot.open({ path, format, compact: false })
  for (let i = 1n; i <= 200n; i++)
    await store.apply([put('a', 'x'.repeat(500), i)], WatchCursor.fromRevision(i))
  await store.close()
  const { code, lines } = await slip(['compact', `log:${path}`, '--json'])
  expect(code).toBe(0)
  const { before, after, seconds } = lines[0] as { before: number; after: number; seconds: number }
  expect(after).toBeLessThan(before / 10)
  expect(seconds).toBeGreaterThanOrEqual(0)
  const { lines: inspected } = await slip(['inspect', path, '--json'])
  expect(inspected[0]).toMatchObject({ generation: format, entries: 1, revision: 200, bytes: after })
})

test('convert writes the other generation with the same state, and never over a file', async () => {
  const path = await smallFold(3)
  const directory = temporaryDirectory()
  const two = join(directory, 'two.snap')
  const three = join(directory, 'three.slip')
  const there = await slip(['convert', `log:${path}`, `log:${two}`, '--format', '2', '--json'])
  expect(there).toMatchObject({ code: 0 })
  expect(there.lines).toEqual([{ entries: 4, bytes: (await stat(two)).size, cursor: '0000000000000005' }])
  expect((await slip(['convert', `log:${two}`, `log:${three}`])).code).toBe(0)
  const dump = async (at: string): Promise<string> => (await slip(['dump', `log:${at}`, '--json'])).stdout
  expect(await dump(two)).toBe(await dump(path))
  expect(await dump(three)).toBe(await dump(path))
  const generations = await slip(['verify', two, three, '--json'])
  expect(generations.lines.map(({ generation }) => generation)).toEqual([2, 3])
  const again = await slip(['convert', `log:${path}`, `log:${two}`])
  expect(again.code).toBe(2)
  expect(again.stderr).toContain('(AlreadyExists)')
})
