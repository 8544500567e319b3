import assert from 'node:assert/strict'
import type { RangeOptions, SnapshotStore } from '@slip/kv-core'
import type { CaseTemplate } from '../conformance-case.ts'
import { FoldModel, byBytes, plain } from '../fold-model.ts'
import { onStore } from '../store-harness.ts'
import type { StoreSuite } from '../store-suite.ts'
import { FIXTURE, at, del, put } from '../updates.ts'

const SPREAD = [
  'a',
  'a.b',
  'a.b.c',
  'a/b',
  'ab',
  'b',
  'node.1',
  'node.10',
  'node.2',
  'nodf',
  'z',
  'é',
  '\u{1f600}',
]

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
    id: 'reads/prefix',
    title: 'a prefix is bytes of the key, not a token: neither more nor less than what starts with it',
    promise: 1,
    run: onStore(async (store) => {
      const model = await fill(store, SPREAD)
      for (const prefix of [
        '',
        'a',
        'a.',
        'a.b',
        'node.1',
        'nod',
        'node',
        'é',
        '\u{1f600}',
        'zz',
        'node.10x',
      ])
        assert.deepEqual(
          store.range(prefix).map(plain),
          model.range(prefix),
          `prefix ${JSON.stringify(prefix)}`,
        )
    }),
  },
  {
    id: 'reads/prefix-at-the-last-code-point',
    title: 'a prefix that ends in the last byte values takes nothing from its neighbours',
    promise: 1,
    run: onStore(async (store) => {
      const model = await fill(store, [
        'p',
        'p\u{7f}',
        'p\u{7f}x',
        'p\u{80}',
        'p\u{10ffff}',
        'p\u{10ffff}z',
        'q',
      ])
      for (const prefix of ['p', 'p\u{7f}', 'p\u{10ffff}', '\u{10ffff}'])
        assert.deepEqual(
          store.range(prefix).map(plain),
          model.range(prefix),
          `prefix ${JSON.stringify(prefix)}`,
        )
    }),
  },
  ...boundCases(),
  {
    id: 'reads/lazy-equals-buffered',
    title: 'entries and keys give what range gives, with every option',
    promise: 1,
    run: onStore(async (store) => {
      await fill(store, SPREAD)
      for (const options of [
        {},
        { reverse: true },
        { gt: 'a', limit: 3 },
        { lte: 'node.2', reverse: true },
      ]) {
        for (const prefix of ['', 'a', 'node.']) {
          const buffered = store.range(prefix, options).map(plain)
          assert.deepEqual([...store.entries(prefix, options)].map(plain), buffered)
          assert.deepEqual(
            [...store.keys(prefix, options)],
            buffered.map(({ key }) => key),
          )
        }
      }
    }),
  },
  {
    id: 'reads/early-stop',
    title: 'a reader that stops half-way leaves the fold usable',
    promise: 1,
    run: onStore(async (store) => {
      await fill(store, SPREAD)
      for (const entry of store.entries()) if (entry.key === 'a.b') break
      await store.apply([put('later', 'v', 100)], at(100))
      assert.equal(store.has('later'), true)
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
  {
    id: 'order/byte-order',
    title: 'listings are in the order of the UTF-8 bytes, above U+FFFF and around U+E000 too',
    promise: 1,
    run: onStore(async (store, harness) => {
      const keys = [
        '\u{10000}',
        '\u{e000}',
        '\u{ffff}',
        '\u{d7ff}',
        '\u{10ffff}',
        'z',
        'é',
        'Z',
        '\u{1f600}a',
        '\u{e000}\u{10000}',
      ]
      await store.apply(
        keys.map((key, i) => put(key, `${i}`, i + 1)),
        at(keys.length),
      )
      const sorted = [...keys].sort(byBytes)
      for await (const opened of harness.openAndReopened(store)) {
        assert.deepEqual([...opened.keys()], sorted)
        assert.deepEqual([...opened.keys('', { reverse: true })], [...sorted].reverse())
        assert.deepEqual([...opened.keys('', { gte: '\u{e000}' })], sorted.slice(sorted.indexOf('\u{e000}')))
        assert.deepEqual(
          [...opened.keys('', { lt: '\u{10000}' })],
          sorted.slice(0, sorted.indexOf('\u{10000}')),
        )
      }
    }),
  },
]

function boundCases(): CaseTemplate<StoreSuite>[] {
  const bounds: Record<string, readonly RangeOptions[]> = {
    gte: [{ gte: 'a.b' }, { gte: 'a.c' }, { gte: '' }, { gte: '\u{10ffff}' }],
    gt: [{ gt: 'a.b' }, { gt: 'a.bb' }, { gt: '' }, { gt: '\u{1f600}' }],
    lt: [{ lt: 'a.b' }, { lt: 'node.3' }, { lt: '' }, { lt: 'a' }],
    lte: [{ lte: 'a.b' }, { lte: 'node.3' }, { lte: '' }, { lte: '\u{1f600}' }],
    both: [
      { gte: 'a.b', lt: 'b' },
      { gt: 'a.b', lte: 'b' },
      { gte: 'a', gt: 'a.b', lt: 'z', lte: 'node.2' },
      { gte: 'z', lt: 'a' },
    ],
    reverse: [
      { reverse: true },
      { reverse: true, gte: 'a.b', lt: 'nodf' },
      { reverse: true, gt: 'a', lte: 'z' },
      { reverse: false },
    ],
    limit: [
      { limit: 0 },
      { limit: 1 },
      { limit: 4 },
      { limit: 1_000 },
      { limit: 2, reverse: true },
      { limit: 3, gt: 'a.b' },
    ],
  }
  return Object.entries(bounds).map(([name, options]) => ({
    id: `reads/range-${name}`,
    title: `range with ${name === 'both' ? 'both bounds' : name} cuts where the key bytes say, inside the prefix`,
    promise: 1,
    run: onStore(async (store) => {
      const model = await fill(store, SPREAD)
      for (const each of options)
        for (const prefix of ['', 'a', 'node.'])
          assert.deepEqual(
            store.range(prefix, each).map(plain),
            model.range(prefix, each),
            `range(${JSON.stringify(prefix)}, ${JSON.stringify(each)})`,
          )
    }),
  }))
}

async function fill(store: SnapshotStore, keys: readonly string[]): Promise<FoldModel> {
  const updates = keys.map((key, i) => put(key, `value ${i}`, i + 1))
  await store.apply(updates, at(keys.length))
  return FoldModel.of(updates)
}

function maybePlain(entry: Parameters<typeof plain>[0] | undefined): ReturnType<typeof plain> | undefined {
  return entry === undefined ? undefined : plain(entry)
}
