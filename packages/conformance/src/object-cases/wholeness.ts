import assert from 'node:assert/strict'
import type { CaseTemplate } from '../conformance-case.ts'
import { bytesOf, digestOf, onObjects, pattern, type ObjectHarness } from '../object-harness.ts'
import type { ObjectSuite } from '../object-suite.ts'
import { failureOf } from '../typed-errors.ts'

const PIECES = 24
const PIECE_BYTES = 200_000
const REPLACEMENTS = 60

export const wholenessCases: readonly CaseTemplate<ObjectSuite>[] = [
  {
    id: 'whole/while-it-is-put',
    title: 'while an object is put nobody sees it: neither its name, nor a part of it',
    promise: 10,
    run: onObjects(async (harness) => {
      const seen: string[] = []
      await harness.store.put('new', watched(harness, 'new', seen, PIECES))
      assert.deepEqual([...new Set(seen)], ['nothing, listed: '])
      assert.equal(digestOf((await harness.read('new'))!.bytes), digestOf(wholeOf(PIECES)))
    }),
  },
  {
    id: 'whole/while-it-is-replaced',
    title: 'while an object is replaced everybody sees the one before',
    promise: 10,
    run: onObjects(async (harness) => {
      const before = pattern(2_000_000, 99)
      await harness.store.put('old', before)
      const seen: string[] = []
      await harness.store.put('old', watched(harness, 'old', seen, PIECES))
      assert.deepEqual([...new Set(seen)], [`${digestOf(before)}, listed: old`])
      assert.equal(digestOf((await harness.read('old'))!.bytes), digestOf(wholeOf(PIECES)))
    }),
  },
  {
    id: 'whole/read-while-it-is-replaced',
    title:
      'a small object that is replaced all the time is there for whoever reads it, and never an older one again',
    promise: 10,
    run: onObjects(async (harness) => {
      await harness.put('number', '0')
      const writing = { isOver: false }
      const read = async (): Promise<void> => {
        for (let last = 0; !writing.isOver;) {
          const found = await harness.read('number')
          assert.ok(found !== undefined, `it is gone after ${last}`)
          const number = Number(new TextDecoder().decode(found.bytes))
          assert.ok(number >= last, `${number} after ${last}`)
          last = number
          await harness.turn()
        }
      }
      const readers = Promise.all([read(), read(), read()])
      // Whoever fails first is told of when the puts are through.
      readers.catch(() => undefined)
      try {
        for (let i = 1; i <= REPLACEMENTS; i++) await harness.other.put('number', bytesOf(String(i)))
      } finally {
        writing.isOver = true
      }
      await readers
    }),
  },
  {
    id: 'whole/failing-body',
    title: 'the error of a body is passed on, and what it was to replace stays, or nothing',
    promise: 10,
    run: onObjects(async (harness) => {
      await harness.put('kept', 'before')
      for (const pieces of [0, 1, PIECES])
        for (const name of ['kept', 'new']) {
          const reason = new Error(`behind ${pieces} pieces`)
          async function* body(): AsyncGenerator<Uint8Array> {
            for (let i = 0; i < pieces; i++) yield pattern(PIECE_BYTES, i)
            throw reason
          }
          const error = await failureOf(() => harness.store.put(name, body()), `a put of ${name}`)
          assert.equal(error, reason)
          assert.deepEqual(await harness.names(), ['kept'])
          assert.equal(await harness.text('kept'), 'before')
        }
    }),
  },
  {
    id: 'whole/side-by-side',
    title: 'objects that are put at the same time do not mix, and of two puts of one name one is left, whole',
    promise: 10,
    run: onObjects(async (harness) => {
      const bodies = Array.from({ length: 4 }, (_, i) => pattern(1_500_000 + i, i))
      await Promise.all([
        ...bodies.map((body, i) => harness.store.put(`own/${i}`, body)),
        ...bodies.map((body) => harness.other.put('shared', body)),
      ])
      for (const [i, body] of bodies.entries())
        assert.equal(digestOf((await harness.read(`own/${i}`))!.bytes), digestOf(body))
      const left = digestOf((await harness.read('shared'))!.bytes)
      assert.ok(bodies.map(digestOf).includes(left), left)
    }),
  },
  {
    id: 'whole/empty-pieces',
    title: 'pieces without bytes are none',
    promise: 10,
    run: onObjects(async (harness) => {
      async function* body(): AsyncGenerator<Uint8Array> {
        for (const text of ['', 'a', '', '', 'b', '']) yield bytesOf(text)
      }
      await harness.store.put('sparse', body())
      assert.equal(await harness.text('sparse'), 'ab')
    }),
  },
]

function wholeOf(pieces: number): Uint8Array {
  return Buffer.concat(Array.from({ length: pieces }, (_, i) => pattern(PIECE_BYTES, i)))
}

/** A body that looks at the place, as somebody else does, behind some of its pieces. */
async function* watched(
  harness: ObjectHarness,
  name: string,
  seen: string[],
  pieces: number,
): AsyncGenerator<Uint8Array> {
  for (let i = 0; i < pieces; i++) {
    yield pattern(PIECE_BYTES, i)
    if (i % 8 !== 7) continue
    const found = await harness.read(name)
    const listed = await harness.names()
    seen.push(`${found === undefined ? 'nothing' : digestOf(found.bytes)}, listed: ${listed.join()}`)
  }
}
