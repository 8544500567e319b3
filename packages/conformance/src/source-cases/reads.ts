import assert from 'node:assert/strict'
import { whileWriting } from '../background-writes.ts'
import type { CaseTemplate } from '../conformance-case.ts'
import { onSource, type SourceHarness } from '../source-harness.ts'
import type { SourceSuite } from '../source-suite.ts'

export const readerCases: readonly CaseTemplate<SourceSuite>[] = [
  {
    id: 'reader/absent',
    title:
      'an absent key, a deleted one and an empty value are undefined to get; entry shows the empty value',
    promise: 1,
    run: onSource(async (harness) => {
      await harness.writer.put('deleted', 'v')
      await harness.writer.delete('deleted')
      const version = await harness.writer.put('empty', '')
      for (const key of ['absent', 'deleted', 'empty'])
        assert.equal(await harness.reader.get(key), undefined, key)
      assert.equal(await harness.reader.entry('deleted'), undefined)
      const entry = await harness.reader.entry('empty')
      assert.equal(entry?.value.length, 0)
      assert.equal(entry.version.toHex(), version.toHex())
    }),
  },
  {
    id: 'reader/listing',
    title: 'keys and scan list the live keys under a byte prefix, once each, with their versions and values',
    promise: 1,
    run: onSource(async (harness) => {
      await fillForListing(harness)
      for (const [prefix, expected] of [
        ['', ['node.a', 'node.b', 'nodes', 'svc.x']],
        ['node.', ['node.a', 'node.b']],
        ['nod', ['node.a', 'node.b', 'nodes']],
        ['none.', []],
      ] as const) {
        const keys = await collect(harness.reader.keys(prefix))
        assert.deepEqual(keys.items.map(({ key }) => key).toSorted(), expected, `keys under ${prefix}`)
        const scanned = await collect(harness.reader.scan(prefix))
        assert.deepEqual(scanned.items.map(({ key }) => key).toSorted(), expected, `scan under ${prefix}`)
        for (const { key, value, version } of scanned.items) {
          assert.equal(new TextDecoder().decode(value), `last ${key}`)
          assert.equal(version.toHex(), (await harness.reader.get(key))?.version.toHex())
        }
      }
    }),
  },
  {
    id: 'reader/listing-order',
    title: 'keys that nobody writes meanwhile are listed in the order of their last writes',
    promise: 4,
    run: onSource(async (harness) => {
      await harness.putAll(['d', 'b', 'c', 'a', 'e'])
      await harness.writer.delete('c')
      await harness.putAll(['d', 'c'])
      const keys = await collect(harness.reader.keys(''))
      assert.deepEqual(
        keys.items.map(({ key }) => key),
        ['b', 'a', 'e', 'd', 'c'],
      )
    }),
  },
  {
    id: 'reader/valid-at',
    title: 'a listing states the revision it is complete at: not before the last write that preceded it',
    promise: 1,
    run: onSource(async (harness) => {
      const last = await fillForListing(harness)
      for (const prefix of ['', 'node.', 'none.'])
        for (const listing of [harness.reader.keys(prefix), harness.reader.scan(prefix)]) {
          const { validAt } = await collect<unknown>(listing)
          assert.ok(validAt >= last, `valid at ${validAt}, not before ${last}`)
        }
    }),
  },
  {
    id: 'reader/listing-under-writes',
    title: 'a listing is complete at its revision while others write',
    promise: 1,
    run: onSource(async (harness) => {
      const settled = Array.from({ length: 400 }, (_, i) => `settled.${i}`)
      await harness.putAll(settled)
      const fresh = new Map<string, bigint>()
      const write = async (i: number): Promise<void> => {
        fresh.set(`fresh.${i}`, (await harness.writer.put(`fresh.${i}`, 'v')).revision!)
        await harness.writer.put(`settled.${i % 400}`, 'again')
      }
      await whileWriting(write, async () => {
        for (let round = 0; round < 3; round++) {
          const { items, validAt } = await collect(harness.reader.keys(''))
          const listed = items.map(({ key }) => key)
          assert.equal(new Set(listed).size, listed.length, 'each key once')
          const held = new Set(listed)
          const expected = [...settled, ...[...fresh].filter(([, at]) => at <= validAt).map(([key]) => key)]
          const missing = expected.filter((key) => !held.has(key))
          assert.deepEqual(missing, [], `missing from a listing valid at ${validAt}`)
        }
      })
    }),
  },
  {
    id: 'reader/stopped-early',
    title: 'a listing that is left half-way lets go, and the next is whole',
    promise: 12,
    run: onSource(async (harness) => {
      await harness.putAll(Array.from({ length: 50 }, (_, i) => `k.${i}`))
      for await (const { key } of harness.reader.scan('')) if (key.length > 0) break
      assert.equal((await collect(harness.reader.scan(''))).items.length, 50)
    }),
  },
]

async function fillForListing(harness: SourceHarness): Promise<bigint> {
  const { writer } = harness
  for (const key of ['node.a', 'node.b', 'nodes', 'svc.x', 'node.gone', 'node.empty'])
    await writer.put(key, 'first')
  for (const key of ['node.a', 'node.b', 'nodes', 'svc.x']) await writer.put(key, `last ${key}`)
  await writer.delete('node.gone')
  return (await writer.put('node.empty', '')).revision!
}

async function collect<T>(
  listing: AsyncIterable<T> & { readonly validAt: Promise<{ readonly revision: bigint | undefined }> },
): Promise<{ readonly items: T[]; readonly validAt: bigint }> {
  const items: T[] = []
  for await (const item of listing) items.push(item)
  const { revision } = await listing.validAt
  assert.ok(revision !== undefined, 'a listing states a revision')
  return { items, validAt: revision }
}
