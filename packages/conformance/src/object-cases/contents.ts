import assert from 'node:assert/strict'
import type { CaseTemplate } from '../conformance-case.ts'
import { collect, digestOf, inPieces, onObjects, pattern } from '../object-harness.ts'
import type { ObjectSuite } from '../object-suite.ts'

const DEFAULT_LARGE_BYTES = 24 * 1024 * 1024
const ranged = ({ capabilities }: ObjectSuite): string | undefined =>
  capabilities.rangeReads ? undefined : 'the store has no range reads'

export const contentCases: readonly CaseTemplate<ObjectSuite>[] = [
  {
    id: 'content/round-trip',
    title: 'what was put comes back, in pieces or whole, with its size and the etag that the put gave',
    promise: 10,
    run: onObjects(async (harness) => {
      for (const length of [0, 1, 511, 4096, 131_073, 1_048_577, 3_000_000])
        for (const each of [undefined, 65_521]) {
          const bytes = pattern(length, length)
          const name = `round-trip/${length}-${each ?? 'whole'}`
          const put = await harness.store.put(name, each === undefined ? bytes : inPieces(bytes, each))
          assert.ok(put !== 'conflict', 'a put without a condition is no conflict')
          const found = await harness.read(name)
          assert.ok(found !== undefined, `${name} is there`)
          assert.equal(digestOf(found.bytes), digestOf(bytes), name)
          assert.equal(found.size, length, `the size of ${name}`)
          assert.equal(found.etag, put.etag, `the etag of ${name}`)
        }
    }),
  },
  {
    id: 'content/reused-piece',
    title: 'a piece is taken before the next one is asked for: its memory may be used again',
    promise: 10,
    run: onObjects(async (harness) => {
      const piece = new Uint8Array(50_000)
      async function* body(): AsyncGenerator<Uint8Array> {
        for (let i = 0; i < 60; i++) {
          piece.set(pattern(piece.length, i))
          yield piece
        }
      }
      await harness.store.put('reused', body())
      const found = await harness.read('reused')
      const expected = Buffer.concat(Array.from({ length: 60 }, (_, i) => pattern(piece.length, i)))
      assert.equal(digestOf(found!.bytes), digestOf(expected))
    }),
  },
  {
    id: 'content/large',
    title: 'a large object comes back, also to two readers at once, one of which is slow',
    promise: 10,
    run: onObjects(async (harness, { largeBytes = DEFAULT_LARGE_BYTES }) => {
      const bytes = pattern(largeBytes, 7)
      await harness.store.put('large', inPieces(bytes, 777_777))
      const slowly = async (): Promise<Uint8Array> => {
        const found = await harness.other.get('large')
        const pieces: Uint8Array[] = []
        for await (const piece of found!.body) {
          pieces.push(piece.slice())
          await new Promise((resolve) => setTimeout(resolve, 1))
        }
        return Buffer.concat(pieces)
      }
      const [slow, quick] = await Promise.all([slowly(), harness.read('large')])
      assert.equal(digestOf(quick!.bytes), digestOf(bytes))
      assert.equal(digestOf(slow), digestOf(bytes))
      assert.equal(quick!.size, largeBytes)
    }),
  },
  {
    id: 'content/absent',
    title: 'an object that is not there is undefined, and its delete no error',
    promise: 1,
    run: onObjects(async (harness) => {
      assert.equal(await harness.other.get('absent'), undefined)
      assert.equal(await harness.other.get('below/absent'), undefined)
      await harness.store.delete('absent')
      await harness.store.delete('below/absent')
      await harness.put('there', 'v')
      await harness.store.delete('there')
      assert.equal(await harness.other.get('there'), undefined)
      await harness.store.delete('there')
    }),
  },
  {
    id: 'content/replaced',
    title: 'a put replaces what was there, shorter or longer, and what is read is what was put last',
    promise: 1,
    run: onObjects(async (harness) => {
      for (const text of ['first', 'a longer second one', '', '4th']) {
        await harness.put('replaced', text)
        assert.equal(await harness.text('replaced'), text)
      }
    }),
  },
  {
    id: 'content/left-early',
    title: 'a reader that leaves a body early, or does not begin it, is in nobody’s way',
    promise: 12,
    run: onObjects(async (harness) => {
      const bytes = pattern(3_000_000, 3)
      for (let round = 0; round < 3; round++) {
        await harness.store.put('left', bytes)
        for await (const _ of (await harness.other.get('left'))!.body) break
        const unread = (await harness.other.get('left'))!.body[Symbol.asyncIterator]()
        await unread.return?.()
        assert.equal(digestOf((await harness.read('left'))!.bytes), digestOf(bytes))
        await harness.store.delete('left')
      }
    }),
  },
  {
    id: 'range/exact',
    title: 'a range gives exactly its bytes, cut at the end, with the size of the whole',
    promise: 10,
    needs: ranged,
    run: onObjects(async (harness) => {
      for (const [name, bytes] of [
        ['small', pattern(1000, 1)],
        ['large', pattern(3_000_000, 2)],
      ] as const) {
        await harness.store.put(name, bytes)
        for (const [start, length] of [
          [0, 1],
          [0, bytes.length],
          [1, 10],
          [bytes.length - 1, 1],
          [bytes.length >> 1, 300],
          [131_000, 200_000],
          [bytes.length - 5, 100],
          [bytes.length, 10],
          [bytes.length + 7, 10],
          [3, 0],
        ] as const) {
          const found = await harness.read(name, { start, length })
          const what = `${length} bytes of ${name} from ${start}`
          assert.ok(found !== undefined, what)
          assert.equal(digestOf(found.bytes), digestOf(bytes.subarray(start, start + length)), what)
          assert.equal(found.size, bytes.length, `${what}: the size`)
        }
      }
      assert.equal(await harness.read('absent', { start: 0, length: 1 }), undefined)
    }),
  },
  {
    id: 'range/etag',
    title: 'a range states the etag of the whole, so that a reader who goes on notices another object',
    promise: 10,
    needs: ranged,
    run: onObjects(async (harness) => {
      for (const length of [1000, 3_000_000]) {
        const put = await harness.store.put('ranged', pattern(length, 1))
        const before = await harness.read('ranged', { start: 10, length: 10 })
        assert.equal(before!.etag, (put as { etag: string }).etag)
        await harness.store.put('ranged', pattern(length, 2))
        const after = await harness.read('ranged', { start: 20, length: 10 })
        assert.notEqual(after!.etag, before!.etag)
      }
    }),
  },
  {
    id: 'content/etag',
    title: 'other content has another etag, of the same length too',
    promise: 14,
    run: onObjects(async (harness) => {
      for (const length of [3, 2_000_000]) {
        const seen = new Set<string>()
        for (let i = 0; i < 12; i++) {
          const put = await harness.store.put('etags', pattern(length, i))
          assert.ok(put !== 'conflict' && put.etag !== '', 'there is an etag')
          seen.add(put.etag)
        }
        assert.equal(seen.size, 12, `12 contents of ${length} bytes`)
      }
    }),
  },
  {
    id: 'content/read-once-begun',
    title: 'a body that was begun goes on with its object when that is replaced, or fails: it mixes nothing',
    promise: 10,
    run: onObjects(async (harness) => {
      const [before, after] = [pattern(4_000_000, 1), pattern(4_000_000, 2)]
      await harness.store.put('begun', before)
      const found = (await harness.other.get('begun'))!
      const pieces: Uint8Array[] = []
      let failed = false
      try {
        for await (const piece of found.body) {
          if (pieces.length === 0) await harness.store.put('begun', after)
          pieces.push(piece.slice())
        }
      } catch {
        failed = true
      }
      if (!failed) assert.equal(digestOf(Buffer.concat(pieces)), digestOf(before))
      assert.equal(digestOf(await collect((await harness.other.get('begun'))!.body)), digestOf(after))
    }),
  },
]
