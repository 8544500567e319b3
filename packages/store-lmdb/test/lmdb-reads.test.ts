import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { LmdbReader, LmdbSnapshot, verifyLmdb } from '@slip/store-lmdb'
import { expect, test } from 'vitest'
import { at, put, scratch } from './scratch.ts'

const MIB = 1024 * 1024

test('read lends the bytes, firstAtOrAfter finds the next key, prefetch changes nothing', async () => {
  const store = await LmdbSnapshot.open({ path: join(await scratch(), 'fold') })
  const long = 'l'.repeat(900)
  await store.apply([put('b', 'two', 2), put('d', 'four', 4), put(long, 'long', 5)], at(5))
  const text = (value: Uint8Array, version: Uint8Array): string =>
    `${Buffer.from(value).toString()} ${Buffer.from(version).toString('hex')}`
  expect([
    store.read('b', text),
    store.read(long, text),
    store.read('c', text),
    store.read('', text),
  ]).toEqual(['two 0000000000000002', 'long 0000000000000005', undefined, undefined])
  expect(['', 'b', 'ba', 'e', 'm'].map((key) => store.firstAtOrAfter(key)?.key)).toEqual([
    'b',
    'b',
    'd',
    long,
    undefined,
  ])
  await store.prefetch(['b', 'missing', long, ''])
  await store.prefetch([])
  expect(store.get('d')?.key).toBe('d')
  await store.close()
  expect(() => store.read('b', text)).toThrow(expect.objectContaining({ code: 'Closed' }))
})

test('values above 16 MiB, which the library lends from its map, are copies too', async () => {
  const path = join(await scratch(), 'fold')
  const store = await LmdbSnapshot.open({ path, durability: 'os' })
  const sizes = [15 * MIB, 17 * MIB, 20 * MIB]
  const batch = sizes.flatMap((size, i) => [
    put(`large.${i}`, Buffer.alloc(size, `${i}`), i + 1),
    put(`small.${i}`, 's', i + 1),
  ])
  await store.apply(batch, at(3))
  const reader = await LmdbReader.open({ path })
  for (const fold of [store, reader]) {
    for (const reverse of [false, true]) {
      const lengths = fold.range('', { reverse }).map(({ value }) => value.length)
      expect(reverse ? lengths.toReversed() : lengths).toEqual([...sizes, 1, 1, 1])
    }
    const value = fold.get('large.1')!.value
    value.fill(0)
    expect(fold.read('large.1', (bytes) => bytes.every((byte) => byte === 0x31))).toBe(true)
  }
  await reader.close()
  await store.apply(
    sizes.map((_, i) => put(`large.${i}`, 'now small', 4)),
    at(4),
  )
  expect(store.stats.entries).toBe(6)
  await store.close()
  expect(await verifyLmdb(path)).toMatchObject({ verdict: 'intact' })
})

test('with verifyReads a value that went bad is Corrupted in every read, and its neighbours are not', async () => {
  const path = join(await scratch(), 'fold')
  let store = await LmdbSnapshot.open({ path })
  await store.apply([put('a', 'fine', 1), put('b', 'precious value', 2), put('c', 'fine', 3)], at(3))
  await store.close()
  const file = join(path, 'fold-00000001.mdb')
  const bytes = await readFile(file)
  // Both copies of the page that a page of LMDB leaves behind.
  for (let found = bytes.indexOf('precious'); found >= 0; found = bytes.indexOf('precious', found + 1))
    bytes[found]! ^= 1
  await writeFile(file, bytes)
  expect(await verifyLmdb(path)).toMatchObject({ verdict: 'corrupt' })
  await expect(LmdbSnapshot.open({ path, check: 'records' })).rejects.toMatchObject({ code: 'Corrupted' })

  store = await LmdbSnapshot.open({ path, verifyReads: true })
  const corrupted = expect.objectContaining({ code: 'Corrupted' })
  expect(Buffer.from(store.get('a')!.value).toString()).toBe('fine')
  expect(() => store.get('b')).toThrow(corrupted)
  expect(() => store.getMany(['a', 'b'])).toThrow(corrupted)
  expect(() => store.range('')).toThrow(corrupted)
  expect(() => store.read('b', () => 1)).toThrow(corrupted)
  expect(() => [...store.view().entries('b')]).toThrow(corrupted)
  expect(store.range('c')).toHaveLength(1)
  await store.close()
})

test('a scan that was left unfinished and forgotten gives its snapshot back, so that the file stays small', async () => {
  const collect = globalThis.gc
  const path = join(await scratch(), 'fold')
  const store = await LmdbSnapshot.open({ path, durability: 'os' })
  const write = async (revision: number): Promise<void> =>
    store.apply(
      Array.from({ length: 300 }, (_, i) => put(`k${i}`, 'v'.repeat(200), revision)),
      at(revision),
    )
  await write(1)
  store.entries().next()
  if (collect === undefined) throw new Error('this test needs --expose-gc')
  for (let i = 0; i < 5; i++) {
    await nextTurn()
    collect()
  }
  await write(2)
  await write(3)
  const { bytes } = store.stats
  for (let revision = 4; revision < 60; revision++) await write(revision)
  expect(store.stats.bytes).toBeLessThan(2 * bytes)
  await store.close()
})
