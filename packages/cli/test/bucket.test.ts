import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { RealServer, skip } from './real-server.ts'
import { ERROR_LINE, slip, temporaryDirectory, type SlipResult } from './slip.ts'

describe.skipIf(skip)('buckets and writes on a real server', { timeout: 60_000 }, () => {
  const server = new RealServer()

  test('a bucket is created, described, found to differ, and deleted', async () => {
    const settings = [
      ['--history', '5'],
      ['--max-age', '1h'],
      ['--max-bytes', '10MB'],
      ['--max-value', '64KiB'],
      ['--discard', 'new'],
      ['--storage', 'memory'],
      ['--replicas', '1'],
    ].flat()
    const [made, again, differing, info, gone, noInfo, noDelete] = await server.runAll([
      ['bucket', 'create', 'made', ...settings],
      ['bucket', 'create', 'made', '--history', '5'],
      ['bucket', 'create', 'made', '--history', '6', '--marker-ttl', '60s'],
      ['bucket', 'info', 'made'],
      ['bucket', 'delete', 'made', '--yes'],
      ['bucket', 'info', 'made'],
      ['bucket', 'delete', 'made', '--yes'],
    ])
    expect(made!.code, made!.stderr).toBe(0)
    expect(made!.lines).toEqual([
      {
        name: 'made',
        history: 5,
        maxAgeMs: 3_600_000,
        maxBytes: 10_000_000,
        maxValueBytes: 65_536,
        discard: 'new',
        replicas: 1,
        storage: 'memory',
        markerTtlMs: null,
        keys: 0,
        bytes: 0,
        firstRevision: expect.any(Number),
        lastRevision: 0,
        created: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      },
    ])
    expect(again).toMatchObject({ code: 0, lines: made!.lines })
    expect([differing!.code, differing!.stderr]).toEqual([1, ''])
    expect(differing!.lines).toEqual([
      {
        name: 'made',
        exists: true,
        differs: [
          { setting: 'history', wanted: 6, found: 5 },
          { setting: 'markerTtlMs', wanted: 60_000, found: null },
        ],
      },
    ])
    expect(info!.lines).toEqual(made!.lines)
    expect(gone).toMatchObject({ code: 0, lines: [{ ...made!.lines[0], deleted: true }] })
    for (const missing of [noInfo!, noDelete!]) {
      expect(missing.code).toBe(3)
      expect(missing.stderr).toMatch(ERROR_LINE)
    }
    expect(noInfo!.stderr).toContain('slip bucket create made')
    expect(noDelete!.stderr).not.toContain('slip bucket create')
  })

  test('limits that are not set are null', async () => {
    const { lines } = await server.run(['bucket', 'create', 'bare'])
    expect(lines[0]).toMatchObject({
      history: 1,
      maxAgeMs: null,
      maxBytes: null,
      maxValueBytes: null,
      markerTtlMs: null,
    })
  })

  test('put, create, update, del and purge say the revision, or 1 and why', async () => {
    await server.writer('writes', { maxValueBytes: 100 })
    const results = await server.runAll([
      ['put', 'writes', 'a', 'eins'],
      ['create', 'writes', 'a', 'zwei'],
      ['update', 'writes', 'a', 'zwei', '--revision', '1'],
      ['update', 'writes', 'a', 'drei', '--revision', '1'],
      ['del', 'writes', 'a', '--revision', '1'],
      ['del', 'writes', 'a'],
      ['create', 'writes', 'a', 'vier'],
      ['purge', 'writes', 'a'],
      ['create', 'writes', 'a', 'fünf'],
      ['del', 'writes', 'a', '--revision', '6'],
      ['create', 'writes', 'a', 'sechs'],
    ])
    const answers = results.map(({ code, lines: [line] }) => [code, line!['revision'] ?? errorCode(line)])
    expect(answers).toEqual([
      [0, 1],
      [1, 'AlreadyExists'],
      [0, 2],
      [1, 'RevisionMismatch'],
      [1, 'RevisionMismatch'],
      [0, 3],
      [0, 4],
      [0, 5],
      [0, 6],
      [0, 7],
      // A delete with a revision leaves an empty value, which create finds.
      [1, 'AlreadyExists'],
    ])
    for (const { code, lines, stderr } of results) {
      expect(lines).toHaveLength(1)
      if (code === 0) expect([lines[0]!['key'], stderr]).toEqual(['a', ''])
      else expect(stderr).toContain(`(${errorCode(lines[0])})`)
    }
  })

  test('a key that is none and a value above a limit are exit 2, a missing bucket exit 3', async () => {
    await server.writer('limited', { maxValueBytes: 100 })
    const [key, limit, payload, missing] = await server.runAll([
      ['put', 'limited', 'a b', 'x'],
      ['put', 'limited', 'a', 'x'.repeat(200)],
      ['put', 'bare', 'a', 'x'.repeat(2_000_000)],
      ['put', 'none', 'a', 'x'],
    ])
    expect([key!.code, errorCode(key!.lines[0])]).toEqual([2, 'InvalidKey'])
    for (const { code, lines } of [limit!, payload!])
      expect([code, errorCode(lines[0])]).toEqual([2, 'ValueTooLarge'])
    expect([missing!.code, missing!.stderr]).toEqual([3, expect.stringContaining('slip bucket create none')])
  })

  test('a value comes as a word, in base64, from a file or from stdin, any bytes', async () => {
    const every = Buffer.from(Array.from({ length: 256 }, (_, i) => i))
    const file = join(temporaryDirectory(), 'value')
    await writeFile(file, every)
    await server.writer('values')
    const [word, base64, content] = await server.runAll([
      ['put', 'values', 'word', 'grüße'],
      ['put', 'values', 'base64', '--base64', every.toString('base64')],
      ['put', 'values', 'file', '--file', file],
    ])
    expect([word!.code, base64!.code, content!.code]).toEqual([0, 0, 0])
    expect((await server.run(['put', 'values', 'stdin'], 'from stdin')).code).toBe(0)
    const fold = join(temporaryDirectory(), 'f.slip')
    expect((await server.follow('values', fold)).code).toBe(0)
    const { lines } = await server.run(['dump', `log:${fold}`])
    const found = lines.map(({ key, value }) => [key, Buffer.from(String(value), 'base64')])
    expect(Object.fromEntries(found)).toEqual({
      base64: every,
      file: every,
      stdin: Buffer.from('from stdin'),
      word: Buffer.from('grüße'),
    })
    const get = await slip(['get', `log:${fold}`, 'file'])
    expect(get.stdout).toBe('(256 bytes)\n')
  })

  test('a key with --ttl expires and leaves the fold', async () => {
    await server.writer('leases', { markerTtlMs: 60_000 })
    const path = join(temporaryDirectory(), 'f.slip')
    expect((await server.run(['put', 'leases', 'a', 'x', '--ttl', '3s'])).code).toBe(0)
    expect((await server.run(['create', 'leases', 'b', 'x', '--ttl', '2500ms'])).code).toBe(0)
    await server.run(['put', 'leases', 'c', 'for good'])
    const stale = await server.run(['update', 'leases', 'c', 'x', '--revision', '1', '--ttl', '2s'])
    expect(stale.code).toBe(1)
    expect((await server.run(['update', 'leases', 'c', 'x', '--revision', '3', '--ttl', '2s'])).code).toBe(0)
    expect((await server.follow('leases', path)).lines.at(-1)).toMatchObject({ delivered: 3 })
    const entries = async (): Promise<unknown> =>
      (await server.follow('leases', path)).lines.at(-1)!['entries']
    await expect.poll(entries, { timeout: 30_000, interval: 500 }).toBe(0)
    const refused = await server.run(['put', 'bare', 'a', 'x', '--ttl', '3s'])
    expect([refused.code, errorCode(refused.lines[0])]).toEqual([3, 'Unsupported'])
  })

  test('load writes NDJSON, creates the bucket, and stops at a bad line with its number', async () => {
    const lines = ['{"key":"a","text":"1"}', '', '{"key":"b","json":{"x":1}}', '{"key":"c","value":"Mg=="}']
    const loaded = await server.run(['load', 'loaded', '-', '--history', '3'], lines.join('\n'))
    expect([loaded.code, loaded.stderr]).toEqual([0, ''])
    expect(loaded.lines).toEqual([
      { loaded: 3, failed: 0, firstRevision: 1, lastRevision: 3, seconds: expect.any(Number) },
    ])
    const file = join(temporaryDirectory(), 'bad.ndjson')
    await writeFile(file, '{"key":"d","text":"1"}\n{"key":"e"}\n{"key":"f","text":"1"}\n')
    const bad = await server.run(['load', 'loaded', file])
    expect([bad.code, bad.stderr]).toEqual([2, expect.stringContaining('line 2')])
    expect(bad.lines[0]).toMatchObject({ loaded: 1, failed: 0, firstRevision: 4, lastRevision: 4 })
    expect(bad.lines.at(-1)).toMatchObject({ error: { code: 'Usage' } })
    const key = await server.run(
      ['load', 'loaded', '-'],
      '{"key":"g","text":"1"}\n{"key":"a b","text":"1"}\n{"key":"h","text":"1"}\n',
    )
    expect([key.code, key.stderr]).toEqual([2, expect.stringContaining('line 2')])
    expect(key.lines[0]).toMatchObject({ loaded: 1, failed: 0, lastRevision: 5 })
    expect(errorCode(key.lines.at(-1))).toBe('InvalidKey')
  })

  test('load says that an existing bucket has other settings, and needs one with --no-create', async () => {
    await server.writer('other', { history: 1 })
    const other = await server.run(['load', 'other', '-', '--history', '3'], '{"key":"a","text":"1"}')
    expect([other.code, other.stderr]).toEqual([0, expect.stringContaining('history is 1, not 3')])
    const absent = await server.run(['load', 'absent', '-', '--no-create'], '{"key":"a","text":"1"}')
    expect([absent.code, absent.stderr]).toEqual([3, expect.stringContaining('slip bucket create absent')])
    const [unreadable, info] = await server.runAll([
      ['load', 'absent', './no/such/file'],
      ['bucket', 'info', 'absent'],
    ])
    expect([unreadable!.code, info!.code]).toEqual([2, 3])
  })

  test('load goes on behind a value that is too large, and stops when the bucket is full', async () => {
    await server.writer('large', { maxValueBytes: 100 })
    const large = Array.from({ length: 5_000 }, (_, i) =>
      JSON.stringify({ key: `k${i}`, text: 'x'.repeat(i === 1 ? 200 : 1) }),
    )
    const passed = await server.run(['load', 'large', '-'], large.join('\n'))
    expect([passed.code, passed.stderr]).toEqual([2, expect.stringContaining('line 2: ')])
    expect(passed.lines[0]).toMatchObject({ loaded: 4_999, failed: 1 })
    const many = Array.from({ length: 20_000 }, (_, i) => JSON.stringify({ key: `k${i}`, text: 'x' }))
    const full = await server.run(['load', 'full', '-', '--max-bytes', '4096'], many.join('\n'))
    expect([full.code, errorCode(full.lines.at(-1))]).toEqual([3, 'QuotaExceeded'])
    const { loaded, failed } = full.lines[0] as { loaded: number; failed: number }
    expect(full.stderr).toContain(`line ${loaded + 1}: `)
    expect(loaded + failed).toBeLessThan(10_000)
  })

  test('what dump prints can be loaded', async () => {
    await server.write('source', { a: '1', 'b.c': '\u0000\u0001', d: 'x'.repeat(5_000) })
    const [one, two] = [join(temporaryDirectory(), 'f.slip'), join(temporaryDirectory(), 'f.slip')]
    await server.follow('source', one)
    const dumped = (await server.run(['dump', `log:${one}`])).stdout
    expect((await server.run(['load', 'copy', '-'], dumped)).lines[0]).toMatchObject({ loaded: 3 })
    await server.follow('copy', two)
    expect((await server.run(['dump', `log:${two}`])).stdout).toBe(dumped)
  })
})

function errorCode(line: SlipResult['lines'][number] | undefined): string {
  return (line as { error: { code: string } }).error.code
}
