import { SnapshotError, type RangeOptions } from '@slip/kv-core'
import { describe, expect, test } from 'vitest'
import { MemoryFold } from '../src/memory/memory-fold.ts'
import { recordLength } from '../src/record.ts'
import { everything, plain, put, removal, write, ModelFold } from './memory-model.ts'

const KEYS = [
  '',
  '\0',
  'a',
  'a\0',
  'a.b',
  'a.b.c',
  'ab',
  'b',
  'é',
  '\uD7FF',
  '\uE000',
  '\uFFFF',
  '😀',
  '\u{10FFFF}',
]

function foldOf(
  keys: readonly string[],
  options = { keepDeleted: true },
): { fold: MemoryFold; model: ModelFold } {
  const fold = new MemoryFold(options)
  const model = new ModelFold()
  keys.forEach((key, i) => {
    const update = put(key, `value of ${i}`, i + 1)
    write(fold, update)
    model.apply(update)
  })
  return { fold, model }
}

describe('reads', () => {
  test('give back key, value, version and expiry', () => {
    const fold = new MemoryFold({ keepDeleted: true })
    write(fold, put('a', 'one', 1), put('b', '', 2, 1234), put('c', new Uint8Array(100_000).fill(7), 3))
    expect(fold.get('a')).toEqual(
      put('a', 'one', 1, undefined) && {
        key: 'a',
        value: new Uint8Array([111, 110, 101]),
        version: fold.get('a')!.version,
      },
    )
    expect(fold.get('a')!.version.revision).toBe(1n)
    expect(fold.get('b')).toMatchObject({ key: 'b', value: new Uint8Array(0), expiresAtMs: 1234 })
    expect(fold.get('c')!.value).toEqual(new Uint8Array(100_000).fill(7))
    expect(fold.get('d')).toBeUndefined()
    expect(fold.getMany(['b', 'x', 'a']).map((entry) => entry?.key)).toEqual(['b', undefined, 'a'])
    expect([fold.has('a'), fold.has('x')]).toEqual([true, false])
  })

  test('hand out values that nobody else sees change', () => {
    const { fold } = foldOf(['a', 'b'])
    const got = fold.get('a')!
    const other = fold.get('b')!
    got.value.fill(0)
    expect(Buffer.from(fold.get('a')!.value).toString()).toBe('value of 0')
    expect(Buffer.from(other.value).toString()).toBe('value of 1')
    write(fold, put('b', 'changed!!!', 9))
    expect(Buffer.from(other.value).toString()).toBe('value of 1')
  })

  test('do not find keys that cannot exist', () => {
    const { fold } = foldOf(['a', '\uFFFD'])
    expect(fold.get('\ud800')).toBeUndefined()
    expect(fold.has('\udc00')).toBe(false)
    expect(fold.get('k'.repeat(65_536))).toBeUndefined()
    expect(fold.get('é'.repeat(40_000))).toBeUndefined()
    expect(() => fold.range('\ud83d')).toThrow(TypeError)
  })

  test('hold keys of 65,535 bytes apart by their last byte', () => {
    const long = 'k'.repeat(65_534)
    const { fold } = foldOf([`${long}a`, `${long}b`, long])
    expect(fold.range('k').map((entry) => entry.key.length)).toEqual([65_534, 65_535, 65_535])
    expect(Buffer.from(fold.get(`${long}b`)!.value).toString()).toBe('value of 1')
  })
})

describe('listings', () => {
  test('come in the order of UTF-8 bytes', () => {
    const { fold, model } = foldOf([...KEYS].reverse())
    expect([...fold.keys()]).toEqual(model.keys(true))
    expect([...fold.keys()]).toEqual([...KEYS].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))))
  })

  test.each(['nothing ordered', 'all ordered'])('obey every combination of options: %s', async (state) => {
    const many = Array.from({ length: 3000 }, (_, i) => `pad.${(i * 37) % 3000}`)
    const { fold, model } = foldOf(state === 'all ordered' ? KEYS : [...KEYS, ...many])
    if (state === 'all ordered') await fold.buildOrder()
    for (const prefix of ['', 'a', 'a.b', 'b', 'zz', '\uE000'])
      for (const low of [{}, { gte: 'a.b' }, { gt: 'a.b' }, { gte: 'a', gt: 'a' }, { gt: '\uFFFF' }])
        for (const high of [{}, { lt: 'b' }, { lte: 'b' }, { lte: 'a', lt: 'z' }, { lt: '' }])
          for (const reverse of [false, true])
            for (const limit of [undefined, 0, 1, 3]) {
              const options: RangeOptions = {
                ...low,
                ...high,
                reverse,
                ...(limit === undefined ? {} : { limit }),
              }
              const expected = model.range(prefix, options)
              const said = JSON.stringify({ prefix, ...options })
              expect(
                fold.range(prefix, options).map((entry) => entry.key),
                said,
              ).toEqual(expected)
              if (state === 'all ordered') expect([...fold.keys(prefix, options)], said).toEqual(expected)
            }
  })

  test.each([-1, 1.5, Number.NaN])('refuse a limit of %s', (limit) => {
    const { fold } = foldOf(['a'])
    expect(() => fold.range('', { limit })).toThrow(RangeError)
    expect(() => fold.entries('', { limit })).toThrow(RangeError)
  })

  test.each([
    ['before the order is complete', 5000],
    ['with the order', 100],
  ])('are one cut, whatever is written meanwhile, %s', (_, count) => {
    const { fold } = foldOf(
      Array.from({ length: count }, (_, i) => `k${i}`),
      { keepDeleted: false },
    )
    const before = everything(fold)
    const entries = fold.entries()
    const seen = [plain(entries.next().value)]
    for (let i = 0; i < count; i++)
      write(fold, i % 2 === 0 ? removal(`k${i}`, 9) : put(`k${i}`, 'new', 9), put(`j${i}`, 'new', 9))
    for (const entry of entries) seen.push(plain(entry))
    expect(seen).toEqual(before)
    expect(fold.entriesCount).toBe(Math.floor(count / 2) + count)
    expect(fold.has('k0')).toBe(false)
  })

  test('of removed keys give name and version, only where they are kept', () => {
    for (const keepDeleted of [true, false]) {
      const { fold } = foldOf(['a', 'b'], { keepDeleted })
      write(fold, removal('b', 7), removal('never seen', 8), removal('a', 9), put('a', 'again', 10))
      expect([...fold.deletedKeys()].map(({ key, version }) => [key, version.revision])).toEqual(
        keepDeleted
          ? [
              ['b', 7n],
              ['never seen', 8n],
            ]
          : [],
      )
      expect([...fold.deletedKeys('n')].length).toBe(keepDeleted ? 1 : 0)
      expect([fold.entriesCount, fold.deletedCount]).toEqual([1, keepDeleted ? 2 : 0])
      expect([...fold.keys()]).toEqual(['a'])
    }
  })
})

describe('a view', () => {
  test('stays as it was, also over clear, and ends with close', () => {
    const { fold } = foldOf(['a', 'b', 'c'])
    const view = fold.view()
    const before = everything(fold)
    write(fold, put('a', 'new', 4), removal('b', 5), put('d', 'new', 6))
    expect(everything(view)).toEqual(before)
    expect([view.has('b'), view.has('d'), view.entriesCount, view.deletedCount]).toEqual([true, false, 3, 0])
    expect(view.range('', { reverse: true }).map((entry) => entry.key)).toEqual(['c', 'b', 'a'])
    fold.clear()
    expect(everything(view)).toEqual(before)
    expect([fold.entriesCount, fold.liveBytes, fold.arenaBytes, fold.has('a')]).toEqual([0, 0, 0, false])
    view.close()
    view.close()
    const expired = expect.objectContaining({ code: 'ViewExpired' }) as SnapshotError
    for (const read of [
      () => view.get('a'),
      () => view.has('a'),
      () => view.getMany([]),
      () => view.range(''),
      () => view.entries(),
      () => view.liveRecords(),
    ])
      expect(read).toThrow(expired)
  })

  test('ends a listing that outlives it', () => {
    const { fold } = foldOf(Array.from({ length: 100 }, (_, i) => `k${i}`))
    const view = fold.view()
    const keys = view.keys()
    keys.next()
    view.close()
    expect(() => [...keys]).toThrow(expect.objectContaining({ code: 'ViewExpired' }) as SnapshotError)
  })
})

describe('walks', () => {
  test('give whole records: all for a compaction, live ones by key for an interchange file', () => {
    const { fold } = foldOf(['c', 'a', 'b'])
    write(fold, removal('b', 7))
    const arrival = fold.liveRecords()
    const ordered = fold.orderedRecords()
    const copy = new MemoryFold({ keepDeleted: true })
    write(fold, put('a', 'not in the cut', 8))
    let bytes = 0
    while (arrival.next()) {
      expect(recordLength(arrival.bytes, arrival.start, arrival.end)).toBe(arrival.end - arrival.start)
      copy.putRecords(arrival.bytes, arrival.start, arrival.end)
      bytes += arrival.end - arrival.start
    }
    expect([...copy.keys()]).toEqual(['a', 'c'])
    expect([...copy.deletedKeys()].map(({ key }) => key)).toEqual(['b'])
    expect(copy.liveBytes).toBe(bytes)
    const keys = []
    while (ordered.next()) keys.push(String.fromCharCode(ordered.bytes[ordered.start + 8]!))
    expect(keys).toEqual(['a', 'c'])
  })
})
