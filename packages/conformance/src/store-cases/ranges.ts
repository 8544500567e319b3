import assert from 'node:assert/strict'
import type { RangeOptions, SnapshotStore } from '@slip/kv-core'
import type { CaseTemplate } from '../conformance-case.ts'
import { FoldModel, byBytes, plain } from '../fold-model.ts'
import { onStore } from '../store-harness.ts'
import type { StoreSuite } from '../store-suite.ts'
import { at, put } from '../updates.ts'

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

export const rangeCases: readonly CaseTemplate<StoreSuite>[] = [
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
