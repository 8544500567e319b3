import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { natsServerOrSkip, NatsServer, startNatsServer } from '@slip/nats-server'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ERROR_LINE, linesOf, slip, start, temporaryDirectory, type Line, type SlipResult } from './slip.ts'

const { skip } = await natsServerOrSkip('2.12')

describe.skipIf(skip)('against a real server', { timeout: 60_000 }, () => {
  let server: NatsServer

  beforeAll(async () => {
    server = await startNatsServer({ version: '2.12' })
  })
  afterAll(async () => await server[Symbol.asyncDispose]())

  /** With the server in SLIP_SERVER, and JSON. */
  async function run(args: readonly string[], input?: string): Promise<SlipResult> {
    return await slip([...args, '--json'], {
      env: { SLIP_SERVER: server.url },
      ...(input === undefined ? {} : { input }),
    })
  }

  async function follow(bucket: string, path: string, ...flags: string[]): Promise<SlipResult> {
    return await run(['follow', bucket, '--fold', `log:${path}`, '--once', ...flags])
  }

  test('a bucket is created, described, found to differ, and deleted', async () => {
    const made = await run([
      'bucket',
      'create',
      'made',
      '--history',
      '5',
      '--max-age',
      '1h',
      '--max-bytes',
      '10MB',
      '--max-value',
      '64KiB',
      '--discard',
      'new',
      '--storage',
      'memory',
      '--replicas',
      '1',
    ])
    expect(made.code, made.stderr).toBe(0)
    expect(made.lines).toHaveLength(1)
    expect(made.lines[0]).toEqual({
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
      created: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
    })
    expect((await run(['bucket', 'create', 'made', '--history', '5'])).code).toBe(0)
    const differing = await run(['bucket', 'create', 'made', '--history', '6'])
    expect(differing.code).toBe(1)
    expect(differing.stderr).toBe('')
    expect(differing.lines).toEqual([
      { name: 'made', exists: true, differs: [{ setting: 'history', wanted: 6, found: 5 }] },
    ])
    expect((await run(['bucket', 'info', 'made'])).lines).toEqual(made.lines)
    expect((await run(['bucket', 'delete', 'made', '--yes'])).code).toBe(0)
    const gone = await run(['bucket', 'info', 'made'])
    expect(gone.code).toBe(3)
    expect(gone.stderr).toContain('slip bucket create made')
    expect(gone.stderr).toMatch(ERROR_LINE)
  })

  test('limits that are not set are null', async () => {
    const { lines } = await run(['bucket', 'create', 'bare'])
    expect(lines[0]).toMatchObject({
      history: 1,
      maxAgeMs: null,
      maxBytes: null,
      maxValueBytes: null,
      markerTtlMs: null,
    })
  })

  test.each(['a b', 'a.b', ''])('the bucket name %j is wrong usage', async (name) => {
    const { code, stderr } = await run(['bucket', 'create', name])
    expect([code, stderr.includes('(Internal)')]).toEqual([2, false])
  })

  test('put, create, update, del and purge say the revision, or 1 and why', async () => {
    await run(['bucket', 'create', 'writes', '--max-value', '100'])
    const at = ({ code, lines }: SlipResult): unknown[] => [code, lines[0]!['key'], lines[0]!['revision']]
    expect(at(await run(['put', 'writes', 'a', 'eins']))).toEqual([0, 'a', 1])
    const exists = await run(['create', 'writes', 'a', 'zwei'])
    expect(exists.code).toBe(1)
    expect(exists.stderr).toContain('(AlreadyExists)')
    expect(exists.lines.at(-1)).toMatchObject({ error: { code: 'AlreadyExists' } })
    expect(at(await run(['update', 'writes', 'a', 'zwei', '--revision', '1']))).toEqual([0, 'a', 2])
    const lost = await run(['update', 'writes', 'a', 'drei', '--revision', '1'])
    expect(lost.code).toBe(1)
    expect(lost.stderr).toContain('(RevisionMismatch)')
    expect((await run(['del', 'writes', 'a', '--revision', '1'])).code).toBe(1)
    expect(at(await run(['del', 'writes', 'a']))).toEqual([0, 'a', 3])
    expect(at(await run(['create', 'writes', 'a', '--base64', '/wA=']))).toEqual([0, 'a', 4])
    expect(at(await run(['purge', 'writes', 'a']))).toEqual([0, 'a', 5])
    expect(at(await run(['put', 'writes', 'a'], 'from stdin'))).toEqual([0, 'a', 6])
    expect((await run(['put', 'writes', 'a b', 'x'])).code).toBe(2)
    const large = await run(['put', 'writes', 'a', 'x'.repeat(200)])
    expect([large.code, large.stderr.includes('(ValueTooLarge)')]).toEqual([2, true])
    expect((await run(['put', 'none', 'a', 'x'])).stderr).toContain('slip bucket create none')
  })

  test('a key with --ttl expires and leaves the fold', async () => {
    await run(['bucket', 'create', 'leases', '--marker-ttl', '60s'])
    const path = join(temporaryDirectory(), 'f.slip')
    expect((await run(['put', 'leases', 'a', 'x', '--ttl', '6s'])).code).toBe(0)
    expect((await follow('leases', path)).lines.at(-1)).toMatchObject({ entries: 1 })
    const entries = async (): Promise<unknown> => (await follow('leases', path)).lines.at(-1)!['entries']
    await expect.poll(entries, { timeout: 30_000, interval: 1_000 }).toBe(0)
  })

  test('load writes NDJSON, creates the bucket, and stops at a bad line with its number', async () => {
    const lines = ['{"key":"a","text":"1"}', '', '{"key":"b","json":{"x":1}}', '{"key":"c","value":"Mg=="}']
    const loaded = await run(['load', 'loaded', '-'], lines.join('\n'))
    expect(loaded.code, loaded.stderr).toBe(0)
    expect(loaded.lines[0]).toMatchObject({ loaded: 3, failed: 0, firstRevision: 1, lastRevision: 3 })
    const file = join(temporaryDirectory(), 'bad.ndjson')
    await writeFile(file, '{"key":"d","text":"1"}\n{"key":"e"}\n{"key":"f","text":"1"}\n')
    const bad = await run(['load', 'loaded', file])
    expect(bad.code).toBe(2)
    expect(bad.stderr).toContain('line 2')
    expect(bad.lines[0]).toMatchObject({ loaded: 1, failed: 0, firstRevision: 4, lastRevision: 4 })
    const invalid = await run(['load', 'loaded', '-'], '{"key":"g","text":"1"}\n{"key":"a b","text":"1"}\n')
    expect(invalid.code).toBe(2)
    expect(invalid.stderr).toContain('line 2')
    const absent = await run(['load', 'absent', '-', '--no-create'], '{"key":"a","text":"1"}')
    expect([absent.code, absent.stderr.includes('slip bucket create absent')]).toEqual([3, true])
  })

  test('follow --once folds, a restart is delivered exactly what was written, diff finds no difference', async () => {
    await run(
      ['load', 'routes', '-'],
      Array.from({ length: 300 }, (_, i) => `{"key":"r.${i}","text":"${i}"}`).join('\n'),
    )
    const path = join(temporaryDirectory(), 'f.slip')
    const first = await follow('routes', path)
    expect(first.code, first.stderr).toBe(0)
    const done = first.lines.at(-1)!
    expect(done).toMatchObject({
      done: true,
      reason: 'caughtUp',
      revision: 300,
      durableRevision: 300,
      streamLast: 300,
      lag: 0,
      entries: 300,
      applied: 300,
      delivered: 300,
      relisted: 0,
      skipped: 0,
      verifiedThrough: 300,
    })
    const fields = [
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
    for (const line of first.lines) expect(Object.keys(line)).toEqual(expect.arrayContaining(fields))
    await run(['load', 'routes', '-'], '{"key":"r.7","text":"new"}\n{"key":"r.300","text":"new"}\n')
    await run(['del', 'routes', 'r.8'])
    const second = await follow('routes', path)
    expect(second.lines.at(-1)).toMatchObject({ done: true, delivered: 3, entries: 300, revision: 303 })
    const equal = await run(['diff', `log:${path}`, 'routes'])
    expect(equal.code, equal.stderr).toBe(0)
    expect(equal.lines).toEqual([
      { equal: true, compared: 300, missing: 0, extra: 0, different: 0, skipped: 0, at: 303 },
    ])
    const inspected = await run(['inspect', path])
    expect(inspected.lines[0]).toMatchObject({ binding: { name: 'routes' }, entries: 300, revision: 303 })
  })

  test('diff says which keys are missing, extra and different, and exits 1', async () => {
    await run(
      ['load', 'parted', '-'],
      ['a', 'b', 'c', 'x.d'].map((key) => `{"key":"${key}","text":"1"}`).join('\n'),
    )
    const path = join(temporaryDirectory(), 'f.slip')
    const folded = await follow('parted', path)
    expect(folded.lines.at(-1), folded.stderr).toMatchObject({ done: true, entries: 4, verifiedThrough: 4 })
    await run(['put', 'parted', 'a', '2'])
    await run(['purge', 'parted', 'b'])
    await run(['put', 'parted', 'new', '1'])
    const { code, lines, stderr } = await run(['diff', `log:${path}`, 'parted'])
    expect([code, stderr]).toEqual([1, ''])
    const kinds = lines.slice(0, -1).map(({ key, kind }) => `${String(kind)} ${String(key)}`)
    expect(kinds.sort()).toEqual(['different a', 'extra b', 'missing new'])
    expect(lines.at(-1)).toEqual({
      equal: false,
      compared: 4,
      missing: 1,
      extra: 1,
      different: 1,
      skipped: 0,
      at: 7,
    })
    const scoped = await run(['diff', `log:${path}`, 'parted', '--prefix', 'x.'])
    expect([scoped.code, scoped.lines[0]!['compared']]).toEqual([0, 1])
  })

  test('a fold of one prefix knows it, and another scope or bucket is exit 4 and leaves it untouched', async () => {
    await run(['load', 'scoped', '-'], '{"key":"r.a","text":"1"}\n{"key":"s.b","text":"1"}\n')
    const path = join(temporaryDirectory(), 'f.slip')
    const { lines } = await follow('scoped', path, '--prefix', 'r.')
    expect(lines.at(-1)).toMatchObject({ entries: 1, delivered: 1 })
    expect((await run(['diff', `log:${path}`, 'scoped'])).lines[0]).toMatchObject({
      equal: true,
      compared: 1,
    })
    const before = (await run(['dump', `log:${path}`])).stdout
    await run(['bucket', 'create', 'another'])
    for (const refused of [await follow('scoped', path), await follow('another', path, '--prefix', 'r.')]) {
      expect(refused.code, refused.stderr).toBe(4)
      expect(refused.stderr).toContain('--on-foreign rebuild')
    }
    expect((await run(['dump', `log:${path}`])).stdout).toBe(before)
    expect((await follow('scoped', path, '--on-foreign', 'rebuild')).lines.at(-1)).toMatchObject({
      entries: 2,
    })
  })

  test('follow of a bucket that is not there is exit 3 with the command that creates it', async () => {
    const path = join(temporaryDirectory(), 'f.slip')
    for (const flags of [['--once'], []]) {
      const { code, stderr } = await run(['follow', 'nowhere', '--fold', `log:${path}`, ...flags])
      expect(code).toBe(3)
      expect(stderr).toContain('slip bucket create nowhere')
    }
  })

  test.each(['SIGINT', 'SIGTERM'] as const)(
    '%s finishes the batch, syncs, and exits 0 with a last line',
    async (signal) => {
      const bucket = `stopped-${signal}`
      await run(['bucket', 'create', bucket])
      const path = join(temporaryDirectory(), 'f.slip')
      const child = start(['follow', bucket, '--fold', `log:${path}`, '--json'], {
        env: { SLIP_SERVER: server.url },
      })
      let stdout = ''
      const seen = (wanted: (line: Line) => boolean): boolean =>
        linesOf(stdout.slice(0, stdout.lastIndexOf('\n') + 1)).some(wanted)
      child.stdout!.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
      const closed = once(child, 'close')
      await expect.poll(() => seen(({ state }) => state === 'live'), { timeout: 20_000 }).toBe(true)
      await run(['put', bucket, 'a', '1'])
      await expect.poll(() => seen(({ revision }) => revision === 1), { timeout: 20_000 }).toBe(true)
      child.kill(signal)
      expect((await closed)[0]).toBe(0)
      expect(linesOf(stdout).at(-1)).toMatchObject({
        done: true,
        reason: 'signal',
        durableRevision: 1,
        delivered: 1,
      })
      expect((await run(['get', `log:${path}`, 'a'])).lines[0]).toMatchObject({ value: 'MQ==', revision: 1 })
    },
  )

  test('a second follower is exit 5 and names the first, until it is gone', async () => {
    await run(['bucket', 'create', 'held'])
    const path = join(temporaryDirectory(), 'f.slip')
    const holder = start(['follow', 'held', '--fold', `log:${path}`, '--json'], {
      env: { SLIP_SERVER: server.url },
    })
    const closed = once(holder, 'close')
    await once(holder.stdout!, 'data')
    const second = await follow('held', path)
    expect(second.code).toBe(5)
    expect(second.stderr).toContain(String(holder.pid))
    const waiting = follow('held', path, '--wait-lock', '20s')
    holder.kill('SIGKILL')
    await closed
    expect((await waiting).code).toBe(0)
  })

  test('demo on a server that was named deletes its bucket', async () => {
    const { code, lines, stderr } = await run(['demo'])
    expect(code, stderr).toBe(0)
    expect(lines[0]).toMatchObject({ step: 'source', kind: 'nats' })
    expect(lines.at(-1)).toMatchObject({ done: true, ok: true })
    expect((await run(['bucket', 'info', String(lines[0]!['bucket'])])).code).toBe(3)
  })
})
