import assert from 'node:assert/strict'
import type { ObjectStore, WaitOptions } from '@slip/kv-core'
import type { CaseTemplate } from '../conformance-case.ts'
import { ABORTED_WITHIN_MS, bytesOf, LONG_MS, onObjects, pattern } from '../object-harness.ts'
import type { ObjectSuite } from '../object-suite.ts'
import { failureOf } from '../typed-errors.ts'
import { within } from '../within.ts'

export const objectAbortCases: readonly CaseTemplate<ObjectSuite>[] = [
  {
    id: 'objects-abort/before-a-call',
    title: 'a call whose signal was aborted already rejects with its reason, and changes nothing',
    promise: 8,
    run: onObjects(async (harness) => {
      await harness.put('kept', 'before')
      for (const [what, call] of callsOf(harness.store)) {
        const reason = new Error(`before ${what}`)
        const error = await within(
          failureOf(() => call({ signal: AbortSignal.abort(reason) }), what),
          LONG_MS,
          what,
        )
        assert.equal(error, reason, what)
      }
      assert.deepEqual(await harness.names(), ['kept'])
      assert.equal(await harness.text('kept'), 'before')
    }),
  },
  {
    id: 'objects-abort/in-a-put',
    title: 'an abort in the middle of a put ends it with the reason and leaves nothing of it',
    promise: 8,
    run: onObjects(async (harness) => {
      await harness.put('kept', 'before')
      for (const name of ['kept', 'new']) {
        const stop = new AbortController()
        const reason = new Error(`in the middle of a put of ${name}`)
        async function* body(): AsyncGenerator<Uint8Array> {
          for (let i = 0; i < 30; i++) {
            if (i === 20) stop.abort(reason)
            yield pattern(200_000, i)
          }
        }
        const error = await within(
          failureOf(() => harness.store.put(name, body(), { signal: stop.signal }), `a put of ${name}`),
          LONG_MS,
          'the abort',
        )
        assert.equal(error, reason)
      }
      assert.deepEqual(await harness.names(), ['kept'])
      assert.equal(await harness.text('kept'), 'before')
    }),
  },
  {
    id: 'objects-abort/while-the-body-hangs',
    title: 'an abort ends a put whose body gives nothing more',
    promise: 8,
    run: onObjects(async (harness) => {
      const stop = new AbortController()
      const reason = new Error('while the body hangs')
      async function* body(): AsyncGenerator<Uint8Array> {
        yield pattern(100_000, 1)
        setTimeout(() => stop.abort(reason), 50)
        await new Promise<never>(() => undefined)
      }
      const failing = failureOf(() => harness.store.put('hung', body(), { signal: stop.signal }), 'a put')
      assert.equal(await within(failing, ABORTED_WITHIN_MS, 'the abort'), reason)
      assert.deepEqual(await harness.names(), [])
    }),
  },
  {
    id: 'objects-abort/in-a-body',
    title: 'an abort in the middle of a body ends it with the reason: it is never cut short in silence',
    promise: 8,
    run: onObjects(async (harness) => {
      const bytes = pattern(6_000_000, 5)
      await harness.store.put('read', bytes)
      const stop = new AbortController()
      const reason = new Error('in the middle of a body')
      const found = await harness.other.get('read', { signal: stop.signal })
      let read = 0
      const error = await within(
        failureOf(async () => {
          for await (const piece of found!.body) {
            read += piece.length
            stop.abort(reason)
          }
          if (read === bytes.length) throw reason
        }, 'a body that was aborted'),
        LONG_MS,
        'the abort',
      )
      assert.equal(error, reason)
    }),
  },
]

function callsOf(
  store: ObjectStore,
): readonly (readonly [string, (options: WaitOptions) => Promise<unknown>])[] {
  return [
    ['get', (options) => store.get('kept', options)],
    ['put', (options) => store.put('kept', bytesOf('after'), options)],
    ['a new put', (options) => store.put('new', bytesOf('after'), options)],
    ['delete', (options) => store.delete('kept', options)],
    [
      'list',
      async (options) => {
        for await (const _ of store.list('', options));
      },
    ],
  ]
}
