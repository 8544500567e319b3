import assert from 'node:assert/strict'
import type { CaseTemplate } from '../conformance-case.ts'
import { FoldModel, plain } from '../fold-model.ts'
import { onStore } from '../store-harness.ts'
import type { StoreSuite } from '../store-suite.ts'
import { FIXTURE, at, del, put } from '../updates.ts'

export const readCases: readonly CaseTemplate<StoreSuite>[] = [
  {
    id: 'reads/empty',
    title: 'a new fold holds nothing, at no cursor',
    promise: 1,
    run: onStore(async (store) => {
      assert.equal(store.cursor.isNone, true)
      assert.equal(store.durableCursor.isNone, true)
      assert.equal(store.lineage, undefined)
      assert.equal(store.get('node.a'), undefined)
      assert.equal(store.has('node.a'), false)
      assert.deepEqual(store.range(''), [])
      assert.deepEqual([...store.entries()], [])
      assert.deepEqual([...store.keys()], [])
    }),
  },
  {
    id: 'reads/get',
    title: 'get gives the last value with its version, and undefined for a deleted or unknown key',
    promise: 1,
    run: onStore(async (store, harness) => {
      await store.apply(FIXTURE, at(7))
      const model = FoldModel.of(FIXTURE)
      for await (const opened of harness.openAndReopened(store))
        for (const key of ['node.a', 'node.b', 'node.c', 'svc.x', 'svc.y', 'node', 'zzz', ''])
          assert.deepEqual(maybePlain(opened.get(key)), model.get(key), `get(${JSON.stringify(key)})`)
    }),
  },
  {
    id: 'reads/get-many',
    title: 'getMany answers by position: live, missing, deleted, duplicate and empty input',
    promise: 1,
    run: onStore(async (store) => {
      await store.apply(FIXTURE, at(7))
      const asked = ['svc.x', 'missing', 'node.b', 'node.a', 'svc.x', 'node.c']
      assert.deepEqual(
        store.getMany(asked).map(maybePlain),
        asked.map((key) => maybePlain(store.get(key))),
      )
      assert.deepEqual(store.getMany([]), [])
    }),
  },
  {
    id: 'reads/has',
    title: 'has is true for live keys only, an empty value included',
    promise: 1,
    run: onStore(async (store) => {
      await store.apply([...FIXTURE, put('empty', '', 8)], at(8))
      assert.deepEqual(
        ['node.a', 'empty', 'node.b', 'node', ''].map((key) => store.has(key)),
        [true, true, false, false, false],
      )
    }),
  },
  {
    id: 'reads/empty-value',
    title: 'an empty value is a present entry, with its version, also after a reopen',
    promise: 1,
    run: onStore(async (store, harness) => {
      await store.apply([put('empty', '', 1)], at(1))
      for await (const opened of harness.openAndReopened(store))
        assert.deepEqual(
          maybePlain(opened.get('empty')),
          plain({ key: 'empty', value: new Uint8Array(), version: at(1).token }),
        )
    }),
  },
  {
    id: 'reads/own-bytes',
    title: 'writing into a value that was read changes nothing else',
    promise: 10,
    run: onStore(async (store) => {
      await store.apply([put('k', 'value', 1)], at(1))
      const reads = [
        () => store.get('k'),
        () => store.getMany(['k'])[0],
        () => store.range('')[0],
        () => [...store.entries()][0],
      ]
      for (const read of reads) {
        read()!.value.fill(0)
        for (const again of reads) assert.equal(new TextDecoder().decode(again()!.value), 'value')
      }
    }),
  },
  {
    id: 'reads/taken-bytes',
    title: 'writing into a value that was applied changes nothing',
    promise: 10,
    run: onStore(async (store) => {
      const value = new TextEncoder().encode('value')
      const lineage = Uint8Array.of(1, 2, 3)
      await store.apply([put('k', value, 1)], at(1), { lineage })
      value.fill(0)
      lineage.fill(0)
      assert.equal(new TextDecoder().decode(store.get('k')!.value), 'value')
      if (store.features.lineage) assert.deepEqual([...store.lineage!], [1, 2, 3])
    }),
  },
  {
    id: 'reads/binary',
    title: 'every byte value, and 300,000 of them, come back as they were, also after a reopen',
    promise: 10,
    run: onStore(async (store, harness) => {
      const every = Uint8Array.from({ length: 256 }, (_, i) => i)
      const long = Uint8Array.from({ length: 300_000 }, (_, i) => (i * 31) & 255)
      await store.apply([put('every', every, 1), put('long', long, 2)], at(2))
      for await (const opened of harness.openAndReopened(store)) {
        assert.deepEqual([...opened.get('every')!.value], [...every])
        assert.equal(Buffer.compare(opened.get('long')!.value, long), 0)
      }
    }),
  },
  {
    id: 'reads/stats',
    title: 'stats count live and deleted keys, each once',
    promise: 4,
    run: onStore(async (store, harness) => {
      await store.apply([...FIXTURE, del('node.b', 8), put('node.a', 'again', 9)], at(9))
      for await (const opened of harness.openAndReopened(store)) {
        assert.equal(opened.stats.entries, 4)
        if (opened.features.deletedKeys) assert.equal(opened.stats.deletedKeys, 1)
        if (opened.features.durable) assert.ok(opened.stats.bytes > 0, 'bytes on disk')
      }
    }),
  },
]

function maybePlain(entry: Parameters<typeof plain>[0] | undefined): ReturnType<typeof plain> | undefined {
  return entry === undefined ? undefined : plain(entry)
}
