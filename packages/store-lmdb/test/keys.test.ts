import { join } from 'node:path'
import { compareKeys, type RangeOptions } from '@slip/kv-core'
import { LmdbSnapshot, verifyLmdb } from '@slip/store-lmdb'
import { expect, test } from 'vitest'
import { at, del, put, scratch, seededRandom } from './scratch.ts'

const LENGTHS = [1, 2, 478, 479, 480, 510, 511, 512, 1_977, 1_978, 1_979, 4_000, 4_026, 4_027, 65_535]

/** Every byte NATS lets through in a key, and letters outside ASCII. */
const NATS_BYTES = Array.from({ length: 94 }, (_, i) => String.fromCharCode(33 + i)).filter(
  (character) => !['*', '>'].includes(character),
)

test('keys of every length and every byte come back in byte order, forwards and backwards, also after a reopen', async () => {
  const path = join(await scratch(), 'fold')
  const keys = [
    ...LENGTHS.flatMap((length) => ['a', 'm', 'z'].map((letter) => letter.repeat(length))),
    ...NATS_BYTES.map((byte) => `k.${byte}`),
    ...NATS_BYTES.map((byte) => `${'p'.repeat(479)}${byte}`),
    '\u{0}',
    'é'.repeat(300),
    `${'é'.repeat(239)}e`,
    `${'é'.repeat(239)}é`,
    '\u{e000}'.repeat(200),
    '\u{10000}'.repeat(200),
    '\u{10ffff}',
  ]
  const ordered = [...new Set(keys)].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  let store = await LmdbSnapshot.open({ path, durability: 'os' })
  await store.apply(
    keys.map((key, i) => put(key, `value of ${i}`, i + 1)),
    at(keys.length),
  )
  for (let round = 0; round < 2; round++) {
    expect([...store.keys()]).toEqual(ordered)
    expect(store.range('', { reverse: true }).map(({ key }) => key)).toEqual(ordered.toReversed())
    for (const key of keys)
      expect(Buffer.from(store.get(key)!.value).toString()).toBe(`value of ${keys.lastIndexOf(key)}`)
    expect(store.stats.entries).toBe(ordered.length)
    await store.close()
    store = await LmdbSnapshot.open({ path, durability: 'os' })
  }
  await store.apply(
    ordered.map((key, i) => del(key, 1_000 + i)),
    at(5_000),
  )
  expect(store.range('')).toEqual([])
  expect([...store.deletedKeys()].map(({ key }) => key)).toEqual(ordered)
  await store.close()
  expect(await verifyLmdb(path)).toMatchObject({ verdict: 'intact', entries: 0, deletedKeys: ordered.length })
})

test('ranges over long keys that share their first bytes agree with a sorted list', async () => {
  const random = seededRandom('long keys')
  const store = await LmdbSnapshot.open({ path: join(await scratch(), 'fold'), durability: 'os' })
  const stems = ['s'.repeat(470), 's'.repeat(479), 's'.repeat(480), `${'s'.repeat(479)}\u{10000}`, 't']
  const letters = ['', 'a', 'b', 'z', '\u{7f}', 'é', '\u{e000}', '\u{10000}']
  const word = (): string =>
    Array.from({ length: random(5) }, () => letters[random(letters.length)]!).join('')
  const keyLike = (): string =>
    // By characters: half of one is no key.
    `${Array.from(stems[random(stems.length)]!)
      .slice(0, random(3) === 0 ? random(490) : 500)
      .join('')}${word()}`
  const keys = new Set(Array.from({ length: 300 }, keyLike).filter((key) => key !== ''))
  await store.apply(
    [...keys].map((key, i) => put(key, key, i + 1)),
    at(1_000),
  )
  const sorted = [...keys].sort(compareKeys)
  for (let i = 0; i < 400; i++) {
    const prefix = random(2) === 0 ? '' : keyLike()
    const options: RangeOptions = {
      ...(random(2) === 0 ? {} : { [random(2) === 0 ? 'gt' : 'gte']: keyLike() }),
      ...(random(2) === 0 ? {} : { [random(2) === 0 ? 'lt' : 'lte']: keyLike() }),
      reverse: random(2) === 0,
      limit: random(40),
    }
    const expected = expectedRange(sorted, prefix, options)
    expect(store.range(prefix, options).map(({ key }) => key)).toEqual(expected)
    expect([...store.keys(prefix, options)]).toEqual(expected)
  }
  await store.close()
})

test('one byte over the limit, an empty key and half a character are refused and change nothing', async () => {
  const store = await LmdbSnapshot.open({ path: join(await scratch(), 'fold') })
  const refused = async (key: string): Promise<unknown> =>
    store.apply([put('kept', 'v', 1), put(key, 'v', 2)], at(2)).catch((error: unknown) => error)
  expect(await refused('k'.repeat(65_536))).toMatchObject({ code: 'LimitExceeded' })
  expect(await refused('')).toBeInstanceOf(TypeError)
  expect(await refused('\u{d800}')).toBeInstanceOf(TypeError)
  expect([store.range(''), store.cursor.isNone]).toEqual([[], true])
  expect([store.get('k'.repeat(65_536)), store.has('')]).toEqual([undefined, false])
  await store.apply([put('kept', 'v', 1)], at(1))
  expect(store.has('kept')).toBe(true)
  await store.close()
})

function expectedRange(sorted: readonly string[], prefix: string, options: RangeOptions): string[] {
  const { gt, gte, lt, lte, reverse, limit } = options
  const found = sorted
    .filter((key) => key.startsWith(prefix))
    .filter((key) => gt === undefined || compareKeys(key, gt) > 0)
    .filter((key) => gte === undefined || compareKeys(key, gte) >= 0)
    .filter((key) => lt === undefined || compareKeys(key, lt) < 0)
    .filter((key) => lte === undefined || compareKeys(key, lte) <= 0)
  return (reverse === true ? found.toReversed() : found).slice(0, limit)
}
