import { encodeLineage, VersionToken, WatchCursor, type KvReader, type KvUpdate } from '@slip/kv-core'
import { MemoryConnection } from '@slip/memory'
import { AppendLogReader, AppendLogSnapshot } from '@slip/store-applog'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { compareFold, narrowed, type Comparison, type Difference } from '../src/fold/compare.ts'
import { KeyMarks } from '../src/fold/key-marks.ts'
import { skippedNames } from '../src/fold/skipped-names.ts'
import { temporaryDirectory } from './slip.ts'

/** Two keys with the same mark. */
const TWINS = ['twin.24500', 'twin.34818'] as const

const connection = new MemoryConnection()
let buckets = 0
const readers: AppendLogReader[] = []

afterEach(async () => {
  for (const reader of readers.splice(0)) await reader.close()
})

interface Compared extends Comparison {
  readonly told: readonly string[]
}

async function bucketOf(values: Readonly<Record<string, string>>): Promise<KvReader> {
  const { reader, writer } = await connection.store(`b${++buckets}`, { history: 1 })
  for (const [key, value] of Object.entries(values)) await writer.put(key, value)
  return reader
}

/** A fold of `values`, at revisions from 1 in their order. */
async function foldOf(
  values: Readonly<Record<string, string>>,
  skipped: readonly string[] = [],
): Promise<AppendLogReader> {
  const path = join(temporaryDirectory(), 'f.slip')
  const store = await AppendLogSnapshot.open({ path })
  const updates = Object.entries(values).map(([key, value], i): KvUpdate => {
    const version = VersionToken.fromRevision(BigInt(i + 1))
    return { operation: 'put', key, value: Buffer.from(value), version }
  })
  const binding = {
    kind: 'memory',
    name: 'b',
    scope: [''],
    whenEvicted: 'drop',
    evictionSeen: false,
  } as const
  const hashes = skipped.map((key) => createHash('sha256').update(key).digest().readBigUInt64BE())
  const lineage = encodeLineage({ binding, anchors: [], skipped: { keys: [], values: hashes } })
  await store.apply(updates, WatchCursor.fromRevision(100n), { lineage })
  await store.close()
  const reader = await AppendLogReader.open({ path })
  readers.push(reader)
  return reader
}

async function compare(fold: AppendLogReader, bucket: KvReader, prefixes = ['']): Promise<Compared> {
  const told: Difference[] = []
  const comparison = await compareFold(
    { fold, bucket, prefixes, isSkipped: skippedNames(fold.lineage) },
    { onDifference: async (difference) => void told.push(difference), onProgress: () => undefined },
  )
  return { ...comparison, told: told.map(({ key, kind }) => `${kind} ${key}`).sort() }
}

test('equal sides have no difference', async () => {
  const values = { a: '1', 'b.c': '2' }
  expect(await compare(await foldOf(values), await bucketOf(values))).toMatchObject({
    compared: 2,
    told: [],
    at: WatchCursor.fromRevision(2n),
  })
})

test('missing, extra, another value and another revision are told and counted', async () => {
  const bucket = await bucketOf({ a: '1', b: 'two', c: '3', new: '4' })
  const fold = await foldOf({ a: '1', b: '2', gone: '3', c: '3' })
  expect(await compare(fold, bucket)).toMatchObject({
    compared: 4,
    missing: 1,
    extra: 1,
    different: 2,
    skipped: 0,
    told: ['different b', 'different c', 'extra gone', 'missing new'],
  })
})

test('a key that the fold says it left out is skipped, any other one is missing', async () => {
  const bucket = await bucketOf({ a: '1', large: 'x', other: 'y' })
  const fold = await foldOf({ a: '1' }, ['large'])
  expect(await compare(fold, bucket)).toMatchObject({
    missing: 1,
    skipped: 1,
    told: ['missing other', 'skipped large'],
  })
})

test('an empty value that the fold kept is looked up, as no listing has it', async () => {
  const bucket = await bucketOf({ a: '1', same: '', moved: 'x' })
  const store = await connection.store(`b${buckets}`)
  await store.writer.put('moved', '')
  const fold = await foldOf({ a: '1', same: '', moved: '', gone: '' })
  expect(await compare(fold, bucket)).toMatchObject({
    compared: 3,
    extra: 1,
    different: 1,
    told: ['different moved', 'extra gone'],
  })
})

test('only what is under the prefixes counts', async () => {
  const bucket = await bucketOf({ 'a.1': '1', 'b.1': '2' })
  const fold = await foldOf({ 'a.1': '1', 'c.1': '2' })
  expect(await compare(fold, bucket, ['a.'])).toMatchObject({ compared: 1, told: [] })
  expect(await compare(fold, bucket, ['a.', 'c.'])).toMatchObject({ compared: 1, told: ['extra c.1'] })
})

test('extra keys that share a mark with a listed one are found by asking, the listed one is not told', async () => {
  const listed = Array.from({ length: 300 }, (_, i) => `key.${i}`)
  const [twin, other] = TWINS
  const marks = new KeyMarks()
  marks.set(twin)
  expect(marks.has(other)).toBe(true)
  const bucket = await bucketOf({ ...Object.fromEntries(listed.map((key) => [key, 'x'])), [twin]: 'x' })
  const fold = await foldOf({
    ...Object.fromEntries(listed.map((key) => [key, 'x'])),
    [twin]: 'x',
    [other]: 'x',
  })
  expect(await compare(fold, bucket)).toMatchObject({ compared: 301, extra: 1, told: [`extra ${other}`] })
})

test('marks are set for what was set, and hardly for anything else', () => {
  const marks = new KeyMarks()
  for (let i = 0; i < 10_000; i++) marks.set(`key.${i}`)
  for (let i = 0; i < 10_000; i++) expect(marks.has(`key.${i}`)).toBe(true)
  let wrong = 0
  for (let i = 10_000; i < 20_000; i++) if (marks.has(`key.${i}`)) wrong++
  expect(wrong).toBeLessThan(10)
})

test.each([
  [[''], undefined, ['']],
  [['a.', 'b.'], undefined, ['a.', 'b.']],
  [[''], ['a.'], ['a.']],
  [['a.', 'b.'], ['a.x'], ['a.x']],
  [['a.x', 'a.y', 'b.'], ['a.'], ['a.x', 'a.y']],
  [['a.'], ['a.'], ['a.']],
  [
    ['a.', 'b.x'],
    ['a.1', 'b.', 'c.'],
    ['a.1', 'b.x'],
  ],
  [['a.'], ['b.'], []],
])('the scope %j narrowed to %j is %j', (scope, wanted, prefixes) =>
  expect(narrowed(scope, wanted)).toEqual(prefixes),
)
