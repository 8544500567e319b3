import { readdirSync, readFileSync } from 'node:fs'
import { mkdir, readFile, truncate, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { RealServer, skip } from './real-server.ts'
import { ERROR_LINE, temporaryDirectory, type SlipResult } from './slip.ts'

const FILE = 'fold-00000001.mdb'

describe.skipIf(skip)('follow into LMDB on a real server', { timeout: 120_000 }, () => {
  const server = new RealServer()

  const foldPath = (): string => join(temporaryDirectory(), 'fold')
  const onceArgs = (bucket: string, path: string, ...flags: string[]): string[] => [
    'follow',
    bucket,
    '--fold',
    `lmdb:${path}`,
    '--once',
    ...flags,
  ]
  const followOnce = async (bucket: string, path: string, ...flags: string[]): Promise<SlipResult> =>
    await server.run(onceArgs(bucket, path, ...flags))

  /** On the first line of the follower, before which there is one for each second of opening. */
  function recoveryOf({ lines }: Pick<SlipResult, 'lines'>): { readonly movedTo: string } {
    const opened = lines.filter(({ state }) => state !== 'opening')
    expect(opened[1]).not.toHaveProperty('recovery')
    return opened[0]!['recovery'] as { readonly movedTo: string }
  }

  /** Every file of a directory, but for the locks of processes that opened it. */
  const contents = (path: string): Record<string, string> =>
    Object.fromEntries(
      readdirSync(path)
        .filter((name) => !name.endsWith('-lock'))
        .map((name) => [name, readFileSync(join(path, name), 'latin1')]),
    )

  test('--once folds, a restart is delivered exactly what was written, diff and doctor find nothing', async () => {
    const values = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`r.${i}`, String(i)]))
    const writer = await server.write('routes', values)
    const path = foldPath()
    const first = await followOnce('routes', path)
    expect([first.code, first.stderr]).toEqual([0, ''])
    expect(first.lines.at(-1)).toMatchObject({
      done: true,
      reason: 'caughtUp',
      revision: 300,
      durableRevision: 300,
      entries: 300,
      delivered: 300,
      relisted: 0,
      verifiedThrough: 300,
    })
    await writer.put('r.7', 'new')
    await writer.put('r.300', 'new')
    await writer.delete('r.8')
    const second = await followOnce('routes', path)
    expect(second.lines.at(-1)).toMatchObject({ done: true, delivered: 3, entries: 300, revision: 303 })
    const third = await followOnce('routes', path, '--durability', 'os')
    expect(third.lines.at(-1)).toMatchObject({ delivered: 0, durableRevision: 303, verifiedThrough: 303 })
    const [diff, inspect, doctor] = await server.runAll([
      ['diff', `lmdb:${path}`, 'routes'],
      ['inspect', path],
      ['doctor', 'routes', '--fold', `lmdb:${path}`],
    ])
    expect([diff!.code, diff!.stderr, diff!.lines.length]).toEqual([0, '', 1])
    expect(diff!.lines[0]).toMatchObject({ equal: true, compared: 300, at: 303 })
    expect(inspect!.lines[0]).toMatchObject({
      backend: 'lmdb',
      binding: { kind: 'nats', name: 'routes', scope: [''] },
      entries: 300,
    })
    expect(doctor!.code).toBe(0)
    const levels = doctor!.lines.map(({ check, level }) => [check, level])
    for (const check of ['fold', 'binding', 'resume', 'count', 'readers', 'disk'])
      expect(levels).toContainEqual([check, 'ok'])
    await writer.put('r.7', 'newer')
    const [differs] = await server.runAll([['diff', `lmdb:${path}`, 'routes']])
    expect([differs!.code, differs!.lines[0]]).toEqual([1, { key: 'r.7', kind: 'different' }])
  })

  test('beside a follower others read; a second one is exit 5 and names it; SIGTERM ends it in order', async () => {
    const writer = await server.write('held', { a: '1' })
    const path = foldPath()
    const holder = server.following('held', `lmdb:${path}`)
    await holder.seen(({ state, entries }) => state === 'live' && entries === 1)
    const fold = `lmdb:${path}`
    const results = await server.runAll([
      ['get', fold, 'a'],
      ['ls', fold],
      ['dump', fold],
      ['inspect', path],
      ['verify', path],
      ['diff', fold, 'held'],
      ['compact', fold],
      ['follow', 'held', '--fold', fold, '--once'],
    ])
    expect(results.map(({ code }) => code)).toEqual([0, 0, 0, 0, 0, 0, 5, 5])
    expect(results[3]!.lines[0]).toMatchObject({ holder: { pid: holder.child.pid } })
    for (const { stderr } of results.slice(6)) {
      expect(stderr).toMatch(ERROR_LINE)
      expect(stderr).toContain(String(holder.child.pid))
    }
    await writer.put('b', '2')
    await holder.seen(({ entries }) => entries === 2)
    holder.child.kill('SIGTERM')
    expect((await holder.closed)[0]).toBe(0)
    const last = holder.lines().at(-1)!
    expect(last).toMatchObject({ done: true, reason: 'signal', revision: 2, durableRevision: 2 })
  })

  test('another bucket or scope, and what is no fold, is exit 4 and untouched; --on-foreign rebuild sets it aside', async () => {
    await server.write('scoped', { 'r.a': '1', 's.b': '1' })
    await server.writer('another')
    const path = foldPath()
    const [first, before, scope, bucket, after, rebuilt] = await server.runAll([
      onceArgs('scoped', path, '--prefix', 'r.'),
      ['dump', `lmdb:${path}`],
      onceArgs('scoped', path),
      onceArgs('another', path, '--prefix', 'r.'),
      ['dump', `lmdb:${path}`],
      onceArgs('scoped', path, '--on-foreign', 'rebuild'),
    ])
    expect(first!.lines.at(-1)).toMatchObject({ entries: 1, delivered: 1 })
    for (const { code, stderr, lines } of [scope!, bucket!]) {
      expect(code, stderr).toBe(4)
      expect(stderr).toContain('--on-foreign rebuild')
      expect(lines.at(-1)).toMatchObject({ error: { code: 'ForeignFold' } })
    }
    expect(after!.stdout).toBe(before!.stdout)
    expect(rebuilt!.lines.at(-1)).toMatchObject({ entries: 2 })
    expect(rebuilt!.stderr).toContain(readdirSync(dirname(path)).find((name) => name.includes('damaged'))!)
  })

  test.each([
    ['a directory of somebody else', 12],
    ['a file', 36],
  ])('%s is exit 4 and untouched; --on-foreign rebuild sets it aside', async (what, bytes) => {
    await server.write('letters', { a: '1' })
    const path = foldPath()
    const file = what === 'a file' ? path : join(path, 'notes.txt')
    if (file !== path) await mkdir(path)
    await writeFile(file, 'this is a letter, and no fold at all'.slice(0, bytes))
    const refused = await followOnce('letters', path)
    expect([refused.code, refused.stderr]).toEqual([4, expect.stringContaining('--on-foreign rebuild')])
    expect(readdirSync(dirname(path))).toEqual([basename(path)])
    expect((await readFile(file)).length).toBe(bytes)
    const replaced = await followOnce('letters', path, '--on-foreign', 'rebuild')
    const recovery = recoveryOf(replaced)
    expect(recovery).toEqual({ verdict: 'foreign', at: 0, bytes, movedTo: expect.any(String) })
    expect(replaced.stderr).toContain(recovery.movedTo)
    expect(replaced.lines.at(-1)).toMatchObject({ done: true, entries: 1 })
  })

  test('a damaged fold is moved aside, kept as it is, and rebuilt; that is on the first line', async () => {
    await server.write('broken', { a: '1', b: '2' })
    const path = foldPath()
    await followOnce('broken', path)
    await truncate(join(path, FILE), 9_000)
    const before = contents(path)
    const { code, lines, stderr } = await followOnce('broken', path)
    expect(code, stderr).toBe(0)
    const recovery = recoveryOf({ lines })
    expect(recovery).toMatchObject({ verdict: 'corrupt', at: expect.any(Number) })
    expect(stderr).toContain(recovery.movedTo)
    expect(contents(recovery.movedTo)).toEqual(before)
    expect(lines.at(-1)).toMatchObject({ done: true, entries: 2, delivered: 2 })
    expect(await readFile(join(path, 'CURRENT'), 'utf8')).toContain('slip-lmdb 2')
  })

  test('the same bucket made anew is a rebuild with its reason, and what may not be repaired is exit 6', async () => {
    await server.write('reborn', { a: '1', b: '2' })
    const path = foldPath()
    await followOnce('reborn', path)
    await server.deleteBucket('reborn')
    await server.write('reborn', { c: '3' })
    const { code, lines } = await followOnce('reborn', path)
    expect(code).toBe(0)
    expect(lines).toContainEqual(expect.objectContaining({ state: 'resyncing', reason: 'bucketRecreated' }))
    expect(lines.at(-1)).toMatchObject({ done: true, entries: 1, revision: 1, relisted: 1, delivered: 0 })

    const bounded = { maxBytes: 4_096, discard: 'old' } as const
    const many = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`k${i}`, 'x'.repeat(100)] as const))
    await server.write('bounded', { a: '1' }, bounded)
    const kept = foldPath()
    await followOnce('bounded', kept, '--when-evicted', 'keep')
    await server.write('bounded', many, bounded)
    const refused = await followOnce('bounded', kept, '--when-evicted', 'keep')
    expect([refused.code, refused.stderr]).toEqual([6, expect.stringMatching(/bootstrap/i)])
    const [inspected] = await server.runAll([['inspect', kept]])
    expect(inspected!.lines[0]).toMatchObject({ entries: 1, revision: 1, binding: { evictionSeen: true } })
  })
})
