import { encodeLineage, WatchCursor, type Binding, type SourceDescription } from '@slip/kv-core'
import type { BucketInfo } from '@slip/nats'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { bucketFindings } from '../src/doctor/bucket-findings.ts'
import type { Finding } from '../src/doctor/finding.ts'
import { foldFindings, type FoldFacts } from '../src/doctor/fold-findings.ts'
import { RealServer, skip } from './real-server.ts'
import { slip, temporaryDirectory, type SlipResult } from './slip.ts'

const SOUND: BucketInfo = {
  name: 'routes',
  history: 1,
  maxAgeMs: null,
  maxBytes: null,
  maxValueBytes: null,
  discard: 'new',
  replicas: 3,
  storage: 'file',
  markerTtlMs: null,
  keys: 10,
  bytes: 900,
  firstRevision: 1,
  lastRevision: 12,
  created: '2026-01-01T00:00:00.000Z',
}
const DESCRIBED: SourceDescription = {
  kind: 'nats',
  name: 'routes',
  incarnation: 'first',
  firstRevision: 1n,
  lastRevision: 12n,
  keyCount: 10n,
  evictsCurrentValues: false,
}
const BOUND: Binding = {
  kind: 'nats',
  name: 'routes',
  incarnation: 'first',
  scope: [''],
  whenEvicted: 'drop',
  evictionSeen: false,
}
const FOLD: FoldFacts = {
  backend: 'append-log',
  generation: 3,
  cursor: WatchCursor.fromRevision(12n),
  entries: 8,
  deletedKeys: 2,
  bytes: 1_000,
  freeBytes: 10_000,
  lineage: encodeLineage({ binding: BOUND, anchors: [] }),
  torn: undefined,
  holder: undefined,
  usage: undefined,
}

const USAGE = {
  freeBytes: 100,
  mapBytes: 2 ** 36,
  maxReaders: 512,
  readers: 1,
  oldestReader: { pid: 7, behind: 2_000 },
}

const levels = (findings: readonly Finding[]): Record<string, string> =>
  Object.fromEntries(findings.map(({ check, level }) => [check, level]))

/** Without those that are well. */
const troubles = (findings: readonly Finding[]): Record<string, string> =>
  Object.fromEntries(Object.entries(levels(findings)).filter(([, level]) => level !== 'ok'))

const ofFold = (fold: Partial<FoldFacts>, source: Partial<SourceDescription> = {}): readonly Finding[] =>
  foldFindings({ ...FOLD, ...fold }, { ...DESCRIBED, ...source })

const boundTo = (binding: Partial<Binding>): Partial<FoldFacts> => ({
  lineage: encodeLineage({ binding: { ...BOUND, ...binding }, anchors: [] }),
})

describe('a bucket', () => {
  test('that keeps what it is given is well', () => {
    expect(levels(bucketFindings(SOUND, false))).toEqual({
      bucket: 'ok',
      storage: 'ok',
      eviction: 'ok',
      history: 'ok',
      room: 'ok',
    })
  })

  test.each<[string, Partial<BucketInfo>, boolean | undefined, Record<string, string>]>([
    ['in memory', { storage: 'memory' }, false, { storage: 'warn' }],
    ['with a maximum age', { maxAgeMs: 3_600_000 }, true, { eviction: 'warn' }],
    ['that does not say whether it evicts', {}, undefined, { eviction: 'warn' }],
    ['with history', { history: 5 }, false, { history: 'warn' }],
    ['that is nearly full', { maxBytes: 1_100 }, false, { room: 'warn' }],
    ['that is full', { maxBytes: 900 }, false, { room: 'fail' }],
    ['that is full and discards the old', { maxBytes: 900, discard: 'old' }, true, { eviction: 'warn' }],
    ['with room', { maxBytes: 2_000 }, false, {}],
  ])('%s', (_, info, evicts, expected) => {
    expect(troubles(bucketFindings({ ...SOUND, ...info }, evicts))).toEqual(expected)
  })

  test('says why values leave it, and what drop and keep mean then', () => {
    const evicting: BucketInfo = { ...SOUND, maxAgeMs: 7 * 86_400_000, maxBytes: 5_000, discard: 'old' }
    const { message, fix } = bucketFindings(evicting, true).find(({ check }) => check === 'eviction')!
    expect(message).toContain('(after 7d, the oldest when it has 5000 bytes)')
    expect(message).toMatch(/drop: .*lists it anew\. .*keep: .*RepairRefused/)
    expect(fix).toContain('away for less than the bucket keeps')
    const aged = bucketFindings({ ...SOUND, maxAgeMs: 7 * 86_400_000 }, true)
    expect(aged.find(({ check }) => check === 'eviction')!.fix).toContain('away for less than half of 7d')
  })
})

describe('a fold', () => {
  test('in step is well', () => {
    expect(levels(ofFold({}))).toEqual({ fold: 'ok', binding: 'ok', resume: 'ok', count: 'ok', disk: 'ok' })
  })

  test.each<[string, Partial<FoldFacts>, Partial<SourceDescription>, Record<string, string>]>([
    ['behind its bucket', {}, { lastRevision: 20n }, {}],
    ['of another bucket', boundTo({ name: 'other' }), {}, { resume: 'fail' }],
    ['of a bucket that was made anew', {}, { incarnation: 'second' }, { resume: 'warn' }],
    ['ahead of its bucket', {}, { lastRevision: 11n }, { resume: 'warn' }],
    ['with another number of keys', { deletedKeys: 3 }, {}, { count: 'fail' }],
    ['under keep, with another number of keys', { ...boundTo({ whenEvicted: 'keep' }), entries: 9 }, {}, {}],
    ['with an unfinished write', { torn: { bytes: 7 } }, {}, { fold: 'warn' }],
    ['with an unfinished write of its writer', { torn: { bytes: 7 }, holder: { pid: 1, host: 'h' } }, {}, {}],
    ['of generation 2', { generation: 2, lineage: undefined }, {}, { binding: 'warn' }],
    ['in LMDB, whose layout is of generation 2', { backend: 'lmdb', generation: 2, usage: USAGE }, {}, {}],
    [
      'in LMDB, with a reader that keeps most of its file',
      { backend: 'lmdb', generation: 2, usage: { ...USAGE, freeBytes: 900 } },
      {},
      { readers: 'warn' },
    ],
    ['on a full disk', { freeBytes: 1_999 }, {}, { disk: 'warn' }],
  ])('%s', (_, fold, source, expected) => {
    expect(troubles(ofFold(fold, source))).toEqual(expected)
  })

  test('of many prefixes is judged without them', () => {
    const many = Array.from({ length: 1_000 }, (_, i) => `prefix-${i}.`)
    expect(levels(ofFold({ ...boundTo({ scope: many }), entries: 1 }))).toEqual({
      fold: 'ok',
      binding: 'ok',
      resume: 'ok',
      disk: 'ok',
    })
  })

  test('that fell behind a bucket which only age empties goes on when its last update is young', () => {
    const source = {
      firstRevision: 20n,
      lastRevision: 30n,
      evictsCurrentValues: true,
      evictsAfterMs: 10_000,
      serverTimeMs: 100_000,
    }
    const resume = (timeMs: bigint): Finding => {
      const anchors = [{ key: 'a', revision: 12n, timeMs }]
      const binding: Binding = { ...BOUND, whenEvicted: 'keep' }
      const lineage = encodeLineage({ binding, anchors })
      return ofFold({ lineage }, source).find(({ check }) => check === 'resume')!
    }
    expect(resume(96_000n)).toMatchObject({ level: 'ok' })
    expect(resume(94_000n)).toMatchObject({ level: 'fail' })
  })

  test('that fell behind what its bucket keeps: drop lists it anew, keep cannot', () => {
    const expired = { firstRevision: 20n, lastRevision: 30n, evictsCurrentValues: true }
    const resume = (fold: Partial<FoldFacts>): Finding =>
      ofFold(fold, expired).find(({ check }) => check === 'resume')!
    expect(resume({})).toMatchObject({ level: 'warn', message: expect.stringContaining('cursorExpired') })
    expect(resume(boundTo({ whenEvicted: 'keep' }))).toMatchObject({
      level: 'fail',
      message: expect.stringContaining('RepairRefused (cursorExpired)'),
      fix: expect.stringContaining('artifact'),
    })
  })
})

describe.skipIf(skip)('slip doctor on a real server', { timeout: 120_000 }, () => {
  const server = new RealServer()
  const told = ({ lines }: SlipResult): Record<string, unknown> =>
    Object.fromEntries(lines.map(({ check, level }) => [check, level]))

  test('a followed bucket passes, a missing one and a damaged fold do not', async () => {
    const writer = await server.writer('routes')
    for (const key of ['a', 'b', 'c']) await writer.put(key, 'x')
    const path = join(temporaryDirectory(), 'routes.slip')
    await server.follow('routes', path)
    const well = await server.run(['doctor', 'routes', '--fold', `log:${path}`])
    expect(told(well)).toEqual({
      connection: 'ok',
      bucket: 'ok',
      storage: 'ok',
      eviction: 'ok',
      history: 'ok',
      room: 'ok',
      watch: 'ok',
      fold: 'ok',
      binding: 'ok',
      resume: 'ok',
      count: 'ok',
      disk: 'ok',
    })
    expect(well.code).toBe(0)
    for (const line of well.lines) expect(Object.keys(line)).toEqual(['check', 'level', 'message', 'fix'])

    const missing = await server.run(['doctor', 'nothing'])
    expect([missing.code, told(missing)]).toEqual([1, { connection: 'ok', bucket: 'fail' }])
    expect(missing.lines.at(-1)!['fix']).toContain('slip bucket create')

    await server.deleteBucket('routes')
    const foreign = await server.writer('other')
    await foreign.put('a', 'x')
    const other = await server.run(['doctor', 'other', '--fold', `log:${path}`])
    expect([other.code, told(other)['resume']]).toEqual([1, 'fail'])
  })

  test('what expires is said, and what keep would do', async () => {
    await server.writer('aging', { maxAgeMs: 60_000 })
    const { code, lines } = await server.run(['doctor', 'aging'])
    expect(code).toBe(0)
    expect(lines.find(({ check }) => check === 'eviction')).toMatchObject({
      level: 'warn',
      message: expect.stringContaining('after 1m'),
    })
  })
})

test('a server that is not there is a check that failed', async () => {
  const { code, lines } = await slip([
    'doctor',
    'routes',
    '--server',
    'nats://127.0.0.1:1',
    '--timeout',
    '500ms',
    '--json',
  ])
  expect(code).toBe(1)
  expect(lines).toMatchObject([{ check: 'connection', level: 'fail' }])
})
