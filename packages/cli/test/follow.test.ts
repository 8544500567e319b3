import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { copyFile, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { RealServer, skip } from './real-server.ts'
import { ERROR_LINE, linesOf, MAIN, temporaryDirectory } from './slip.ts'

const FIELDS = [
  'time',
  'state',
  'cursor',
  'revision',
  'durableRevision',
  'streamLast',
  'lag',
  'entries',
  'applied',
  'delivered',
  'deliveredBytes',
  'relisted',
  'skipped',
  'sessions',
  'verifiedThrough',
]

describe.skipIf(skip)('follow on a real server', { timeout: 60_000 }, () => {
  const server = new RealServer()

  function foldPath(): string {
    return join(temporaryDirectory(), 'f.slip')
  }

  test('--once folds, a restart is delivered exactly what was written, diff finds no difference', async () => {
    const values = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`r.${i}`, String(i)]))
    const writer = await server.write('routes', values)
    const path = foldPath()
    const first = await server.follow('routes', path)
    expect([first.code, first.stderr]).toEqual([0, ''])
    const bytes = Object.entries(values).reduce((sum, [key, value]) => sum + key.length + value.length, 0)
    expect(first.lines.at(-1)).toEqual({
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      state: 'closed',
      cursor: '000000000000012c',
      revision: 300,
      durableRevision: 300,
      streamLast: 300,
      lag: 0,
      entries: 300,
      applied: 300,
      delivered: 300,
      deliveredBytes: bytes,
      relisted: 0,
      skipped: 0,
      sessions: 1,
      verifiedThrough: 300,
      done: true,
      reason: 'caughtUp',
    })
    const states = first.lines.map(({ state }) => state)
    expect(states).toEqual(['connecting', 'catchingUp', 'live', 'closed', 'closed'])
    for (const line of first.lines) expect(Object.keys(line)).toEqual(expect.arrayContaining(FIELDS))
    await writer.put('r.7', 'new')
    await writer.put('r.300', 'new')
    await writer.delete('r.8')
    const second = await server.follow('routes', path)
    expect(second.lines.at(-1)).toMatchObject({ done: true, delivered: 3, entries: 300, revision: 303 })
    const [equal, inspected] = await server.runAll([
      ['diff', `log:${path}`, 'routes'],
      ['inspect', path],
    ])
    expect([equal!.code, equal!.stderr]).toEqual([0, ''])
    expect(equal!.lines).toEqual([
      { equal: true, compared: 300, missing: 0, extra: 0, different: 0, skipped: 0, at: 303 },
    ])
    expect(inspected!.lines[0]).toMatchObject({
      binding: { kind: 'nats', name: 'routes', incarnation: expect.any(String), scope: [''] },
      entries: 300,
      revision: 303,
    })
  })

  test('diff says which keys are missing, extra and different, and exits 1', async () => {
    const writer = await server.write('parted', { a: '1', b: '1', c: '1', 'x.d': '1' })
    const path = foldPath()
    const folded = await server.follow('parted', path)
    expect(folded.lines.at(-1), folded.stderr).toMatchObject({ entries: 4, verifiedThrough: 4 })
    await writer.put('a', '2')
    await writer.delete('b')
    await writer.put('new', '1')
    const [all, one, none, two] = await server.runAll([
      ['diff', `log:${path}`, 'parted'],
      ['diff', `log:${path}`, 'parted', '--prefix', 'x.'],
      ['diff', `log:${path}`, 'nowhere'],
      ['diff', `log:${path}`, 'parted', '--prefix', 'x.', '--prefix', 'c'],
    ])
    expect([all!.code, all!.stderr]).toEqual([1, ''])
    const kinds = all!.lines.slice(0, -1).map(({ key, kind }) => `${String(kind)} ${String(key)}`)
    expect(kinds.sort()).toEqual(['different a', 'extra b', 'missing new'])
    expect(all!.lines.at(-1)).toEqual({
      equal: false,
      compared: 4,
      missing: 1,
      extra: 1,
      different: 1,
      skipped: 0,
      at: 7,
    })
    expect([one!.code, one!.lines[0]!['compared']]).toEqual([0, 1])
    expect(none!.code).toBe(3)
    expect([two!.code, two!.lines[0]!['compared']]).toEqual([0, 2])
  })

  test('a fold of one prefix knows it, and another scope or bucket is exit 4 and leaves it untouched', async () => {
    await server.write('scoped', { 'r.a': '1', 's.b': '1' })
    await server.writer('another')
    const path = foldPath()
    const { lines } = await server.follow('scoped', path, '--prefix', 'r.')
    expect(lines.at(-1)).toMatchObject({ entries: 1, delivered: 1 })
    const [diff] = await server.runAll([['diff', `log:${path}`, 'scoped']])
    expect(diff!.lines[0]).toMatchObject({ equal: true, compared: 1 })
    const before = await readFile(path)
    const refusals = [
      await server.follow('scoped', path),
      await server.follow('another', path, '--prefix', 'r.'),
    ]
    for (const { code, stderr, lines: told } of refusals) {
      expect(code, stderr).toBe(4)
      expect(stderr).toContain('--on-foreign rebuild')
      expect(told.at(-2)).toMatchObject({ state: 'failed', reason: 'ForeignFold' })
      expect(told.at(-1)).toMatchObject({ error: { code: 'ForeignFold' } })
    }
    expect((await readFile(path)).equals(before)).toBe(true)
    const rebuilt = await server.follow('scoped', path, '--on-foreign', 'rebuild')
    expect(rebuilt.lines.at(-1)).toMatchObject({ entries: 2 })
    const kept = readdirSync(dirname(path)).find((name) => name.includes('damaged'))!
    expect(rebuilt.stderr).toContain(kept)
    expect((await readFile(join(dirname(path), kept))).equals(before)).toBe(true)
  })

  test('a scope too large for the fold is kept as its digest, and still told from another one', async () => {
    await server.write('wide', { 'prefix.number.7.of.many.a': '1', 'prefix.other': '1' })
    const prefixes = Array.from({ length: 300 }, (_, i) => ['--prefix', `prefix.number.${i}.of.many.`]).flat()
    const path = foldPath()
    // The bucket's last revision is out of scope: --once waits until the audit can be made all the same.
    const first = (await server.follow('wide', path, ...prefixes)).lines.at(-1)
    expect(first).toMatchObject({ delivered: 1, revision: 2, lag: 0, verifiedThrough: 2 })
    expect((await server.follow('wide', path, ...prefixes)).lines.at(-1)).toMatchObject({ delivered: 0 })
    expect((await server.follow('wide', path, ...prefixes.slice(2))).code).toBe(4)
    const [inspect, diff, narrowed] = await server.runAll([
      ['inspect', path],
      ['diff', `log:${path}`, 'wide'],
      ['diff', `log:${path}`, 'wide', '--prefix', 'prefix.number.7.'],
    ])
    expect(inspect!.lines[0]).toMatchObject({
      binding: { name: 'wide', scope: { sha256: expect.stringMatching(/^[0-9a-f]{64}$/) } },
    })
    expect([diff!.code, diff!.stderr]).toEqual([2, expect.stringContaining('--prefix')])
    expect(narrowed!.lines).toEqual([expect.objectContaining({ equal: true, compared: 1 })])
  })

  test('a file that is no fold is exit 4 and untouched, --on-foreign rebuild sets it aside', async () => {
    await server.write('letters', { a: '1' })
    const path = foldPath()
    await writeFile(path, 'this is a letter, and no fold at all')
    const refused = await server.follow('letters', path)
    expect([refused.code, refused.stderr]).toEqual([4, expect.stringContaining('--on-foreign rebuild')])
    expect(readdirSync(dirname(path))).toEqual([basename(path)])
    const rebuilt = await server.follow('letters', path, '--on-foreign', 'rebuild')
    expect(rebuilt.code).toBe(0)
    const { recovery } = rebuilt.lines[0] as { recovery: { movedTo: string } }
    expect(recovery).toEqual({ verdict: 'foreign', at: 0, bytes: 36, movedTo: expect.any(String) })
    expect(rebuilt.stderr).toContain(recovery.movedTo)
    expect(await readFile(recovery.movedTo, 'utf8')).toContain('a letter')
    expect(rebuilt.lines.at(-1)).toMatchObject({ done: true, entries: 1 })
  })

  test('what opening repaired is on the first line, and on stderr', async () => {
    const writer = await server.write('torn', { a: '1' })
    const path = foldPath()
    await server.follow('torn', path)
    const intact = (await stat(path)).size
    await writer.put('b', '2')
    await server.follow('torn', path)
    const size = (await stat(path)).size
    const damaged = foldPath()
    await copyFile(path, damaged)
    await truncate(path, size - 3)
    const cut = await server.follow('torn', path)
    expect(cut.code).toBe(0)
    expect(cut.lines[0]).toMatchObject({
      recovery: { verdict: 'torn', at: intact, bytes: size - 3 - intact },
    })
    expect(cut.lines[1]).not.toHaveProperty('recovery')
    expect(cut.stderr).toContain(`${size - 3 - intact} bytes cut at ${intact}`)
    expect(cut.lines.at(-1)).toMatchObject({ delivered: 1, entries: 2 })
    const bytes = await readFile(damaged)
    bytes[intact - 10]! ^= 1
    await writeFile(damaged, bytes)
    const rebuilt = await server.follow('torn', damaged)
    const { recovery } = rebuilt.lines[0] as { recovery: { movedTo: string } }
    expect(recovery).toMatchObject({ verdict: 'corrupt', bytes: size })
    expect(rebuilt.stderr).toContain(recovery.movedTo)
    expect((await readFile(recovery.movedTo)).equals(bytes)).toBe(true)
    expect(rebuilt.lines.at(-1)).toMatchObject({ done: true, entries: 2 })
  })

  test('the same bucket made anew is a rebuild with its reason', async () => {
    await server.write('reborn', { a: '1', b: '2' })
    const path = foldPath()
    await server.follow('reborn', path)
    await server.deleteBucket('reborn')
    await server.write('reborn', { c: '3' })
    const { code, lines } = await server.follow('reborn', path)
    expect(code).toBe(0)
    expect(lines).toContainEqual(expect.objectContaining({ state: 'resyncing', reason: 'bucketRecreated' }))
    expect(lines.at(-1)).toMatchObject({ done: true, entries: 1, revision: 1, relisted: 1, delivered: 0 })
  })

  const BOUNDED = { maxBytes: 4_096, discard: 'old' } as const
  const MANY = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`k${i}`, 'x'.repeat(100)] as const))

  /** A fold of a bucket that evicted what was written since. */
  async function fellBehind(bucket: string, ...flags: string[]): Promise<string> {
    await server.write(bucket, { a: '1' }, BOUNDED)
    const path = foldPath()
    expect((await server.follow(bucket, path, ...flags)).code).toBe(0)
    await server.write(bucket, MANY, BOUNDED)
    return path
  }

  test('a fold that fell behind and may not be repaired is exit 6, and untouched', async () => {
    const keep = ['--when-evicted', 'keep']
    const path = await fellBehind('bounded', ...keep)
    const before = (await server.run(['dump', `log:${path}`])).stdout
    const { code, lines, stderr } = await server.follow('bounded', path, ...keep)
    expect([code, stderr]).toEqual([6, expect.stringMatching(ERROR_LINE)])
    expect(stderr).toMatch(/bootstrap/i)
    expect(lines.at(-2)).toMatchObject({ state: 'failed', reason: 'RepairRefused', revision: 1 })
    expect(lines.at(-1)).toMatchObject({ error: { code: 'RepairRefused' } })
    expect((await server.run(['dump', `log:${path}`])).stdout).toBe(before)
    const [inspected] = await server.runAll([['inspect', `log:${path}`]])
    expect(inspected!.lines[0]).toMatchObject({ entries: 1, revision: 1, binding: { evictionSeen: true } })
    expect(String(inspected!.lines[0]!['cursor'])).toMatch(/^00000000000000010000080[13]/)
    expect((await server.follow('bounded', path, ...keep, '--repair', 'relist')).code).toBe(6)
  })

  test('--repair none refuses under drop too, and relist repairs', async () => {
    const path = await fellBehind('mirrored')
    const refused = await server.follow('mirrored', path, '--repair', 'none')
    expect([refused.code, refused.lines.at(-1)]).toEqual([
      6,
      { error: expect.objectContaining({ code: 'RepairRefused' }) },
    ])
    const { code, lines } = await server.follow('mirrored', path, '--repair', 'relist')
    expect(code).toBe(0)
    expect(lines).toContainEqual(expect.objectContaining({ state: 'resyncing', reason: 'cursorExpired' }))
    const last = lines.at(-1)!
    expect(last).toMatchObject({ done: true, delivered: 0, verifiedThrough: 61 })
    expect(last['relisted']).toBe(last['entries'])
  })

  test('a replica of record is audited as long as its bucket has not evicted', async () => {
    await server.write('records', { a: '1', b: '2' }, BOUNDED)
    const path = foldPath()
    const { code, lines } = await server.follow('records', path, '--when-evicted', 'keep')
    expect([code, lines.at(-1)]).toEqual([0, expect.objectContaining({ verifiedThrough: 2 })])
    await server.write('records', { a: '3', b: '4' }, BOUNDED)
    const again = await server.follow('records', path, '--when-evicted', 'keep')
    expect([again.code, again.lines.at(-1)]).toEqual([
      0,
      expect.objectContaining({ state: 'closed', entries: 2, delivered: 2, verifiedThrough: null }),
    ])
  })

  test('a gap that is younger than half the age at which keys leave holds no eviction', async () => {
    const hour = { maxAgeMs: 3_600_000 }
    await server.write('aged', { a: '1', b: '2' }, hour)
    const path = foldPath()
    const keep = ['--when-evicted', 'keep']
    expect((await server.follow('aged', path, ...keep)).code).toBe(0)
    for (let i = 0; i < 3; i++) await server.write('aged', { a: `${i}`, b: `${i}` }, hour)
    const { code, lines } = await server.follow('aged', path, ...keep)
    expect(code).toBe(0)
    expect(lines.at(-1)).toMatchObject({ entries: 2, revision: 8, delivered: 2, relisted: 0 })
  })

  test('--empty-values keep has empty values as entries; a fold made with the other is made anew', async () => {
    await server.write('empties', { a: '1', b: '' })
    const path = foldPath()
    const first = await server.follow('empties', path, '--empty-values', 'keep')
    expect(first.lines.at(-1)).toMatchObject({ entries: 2 })
    const { code, lines } = await server.follow('empties', path)
    expect(code).toBe(0)
    expect(lines).toContainEqual(
      expect.objectContaining({ state: 'resyncing', reason: 'emptyValuesChanged' }),
    )
    expect(lines.at(-1)).toMatchObject({ entries: 1 })
  })

  test('a bucket that is not there is exit 3 with the command that creates it, with --once or without', async () => {
    for (const flags of [['--once'], []]) {
      const { code, stderr, lines } = await server.run([
        'follow',
        'nowhere',
        '--fold',
        `log:${foldPath()}`,
        ...flags,
      ])
      expect([code, stderr]).toEqual([3, expect.stringContaining('slip bucket create nowhere')])
      expect(lines.at(-2)).toMatchObject({ state: 'failed', reason: 'BucketNotFound' })
    }
  })

  test('generation 2 is written when asked for, and stays what it is', async () => {
    await server.write('second', { b: '2', a: '1' })
    const path = foldPath()
    expect((await server.follow('second', path, '--format', '2')).code).toBe(0)
    expect((await readFile(path)).subarray(0, 6)).toEqual(Buffer.from('PGSS\u0002\u0000'))
    const [compact, inspect] = await server.runAll([
      ['compact', `log:${path}`],
      ['inspect', path],
    ])
    expect(compact!.code).toBe(0)
    expect(inspect!.lines[0]).toMatchObject({ generation: 2, entries: 2, revision: 2, binding: null })
  })

  test.each(['SIGINT', 'SIGTERM'] as const)(
    '%s finishes the batch, syncs, and exits 0 with a last line of where the fold stands',
    async (signal) => {
      const writer = await server.writer(`stopped-${signal}`)
      const path = foldPath()
      const follower = server.following(`stopped-${signal}`, `log:${path}`)
      await follower.seen(({ state }) => state === 'live')
      const stop = new AbortController()
      const writing = (async () => {
        for (let i = 0; !stop.signal.aborted; i++) await writer.put(`k${i}`, 'x')
      })()
      await follower.seen(({ entries }) => Number(entries) > 0)
      follower.child.kill(signal)
      expect((await follower.closed)[0]).toBe(0)
      stop.abort()
      await writing
      const last = follower.lines().at(-1)!
      expect(last).toMatchObject({ state: 'closed', done: true, reason: 'signal' })
      expect(last['durableRevision']).toBe(last['revision'])
      expect(last['delivered']).toBe(last['entries'])
      const [inspected] = await server.runAll([['inspect', path]])
      expect(inspected!.lines[0]).toMatchObject({ revision: last['revision'], entries: last['entries'] })
    },
  )

  test('a reader of its lines that goes away ends it in order, quietly', async () => {
    await server.write('unread', { a: '1' })
    const path = foldPath()
    const shell = '"$0" "$1" follow unread --fold "$2" --json; echo "exit $?" >&2'
    const child = spawn('sh', ['-c', `{ ${shell}; } | head -n 1`, process.execPath, MAIN, `log:${path}`], {
      env: { ...process.env, ...server.env },
    })
    let stdout = ''
    let stderr = ''
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
    await once(child, 'close')
    expect([linesOf(stdout).length, stderr]).toEqual([1, 'exit 0\n'])
  })

  test('a second follower is exit 5 and names the first; a signal ends a wait for it', async () => {
    await server.write('held', { a: '1' })
    const path = foldPath()
    const holder = server.following('held', `log:${path}`)
    await holder.seen(({ state }) => state === 'live')
    const second = await server.follow('held', path)
    expect([second.code, second.stderr]).toEqual([5, expect.stringContaining(String(holder.child.pid))])
    const signalled = server.following('held', `log:${path}`, '--wait-lock', '60s')
    await signalled.seen(({ state }) => state === 'opening')
    signalled.child.kill('SIGTERM')
    expect((await signalled.closed)[0]).toBe(0)
    expect(signalled.lines().at(-1)).toMatchObject({ state: 'closed', done: true, reason: 'signal' })
    holder.child.kill('SIGKILL')
    await holder.closed
    expect(await server.follow('held', path)).toMatchObject({ code: 0 })
  })

  test('commands that read work beside a follower', async () => {
    await server.write('beside', { a: '1' })
    const path = foldPath()
    const follower = server.following('beside', `log:${path}`)
    await follower.seen(({ entries }) => entries === 1)
    const results = await server.runAll([
      ['get', `log:${path}`, 'a'],
      ['ls', `log:${path}`],
      ['dump', `log:${path}`],
      ['inspect', path],
      ['verify', path],
      ['diff', `log:${path}`, 'beside'],
      ['compact', `log:${path}`],
    ])
    expect(results.map(({ code }) => code)).toEqual([0, 0, 0, 0, 0, 0, 5])
    expect(results[3]!.lines[0]).toMatchObject({ holder: { pid: follower.child.pid } })
    follower.child.kill('SIGTERM')
    await follower.closed
  })

  test('a fold that cannot be written is exit 2', async () => {
    await server.write('unwritable', { a: '1' })
    const path = foldPath()
    const results = await Promise.all([
      server.follow('unwritable', join(path, 'below')),
      server.follow('unwritable', dirname(path)),
      writeFile(path, '').then(async () => server.follow('unwritable', join(path, 'f'))),
    ])
    for (const { code, stderr } of results.slice(1)) {
      expect(code, stderr).toBe(2)
      expect(stderr).toMatch(ERROR_LINE)
    }
    await rm(path, { recursive: true, force: true })
  })

  test('demo on a server that was named deletes its bucket', async () => {
    const { code, lines, stderr } = await server.run(['demo'])
    expect([code, stderr]).toEqual([0, ''])
    expect(lines[0]).toMatchObject({ step: 'source', kind: 'nats' })
    expect(lines.at(-1)).toMatchObject({ done: true, ok: true })
    expect((await server.run(['bucket', 'info', String(lines[0]!['bucket'])])).code).toBe(3)
  })
})
