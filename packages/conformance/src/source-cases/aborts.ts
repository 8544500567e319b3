import assert from 'node:assert/strict'
import type { BulkOperation, KvReader, WaitOptions } from '@slip/kv-core'
import type { CaseTemplate } from '../conformance-case.ts'
import { onSource, type SourceHarness } from '../source-harness.ts'
import type { SourceSuite } from '../source-suite.ts'
import { failureOf } from '../typed-errors.ts'
import { within } from '../within.ts'

const ENOUGH = 500

type Call = readonly [what: string, call: (options: WaitOptions) => Promise<unknown>]

/** Everything that takes a signal beside `watch`, each on the key `k`, which exists. */
async function callsOf(harness: SourceHarness, { features }: SourceSuite): Promise<readonly Call[]> {
  const { reader, writer, ttl, purger, watcher } = harness
  const version = await writer.put('k', 'before')
  const reads: Call[] = [
    ['get', (options) => reader.get('k', options)],
    ['entry', (options) => reader.entry('k', options)],
    ['keys', (options) => drain(reader.keys('', options))],
    ['scan', (options) => drain(reader.scan('', options))],
    ['describe', (options) => watcher.describe('all', options)],
  ]
  const writes: Call[] = [
    ['put', (options) => writer.put('k', 'after', options)],
    ['delete', (options) => writer.delete('k', options)],
    ['bulk', (options) => drain(writer.bulk([put('k')], options))],
  ]
  if (features.compareAndSwap)
    writes.push(
      ['create', (options) => writer.create('new', 'after', options)],
      ['update', (options) => writer.update('k', 'after', version, options)],
      ['deleteWithVersion', (options) => writer.deleteWithVersion('k', version, options)],
    )
  if (features.ttl && ttl !== undefined)
    writes.push(
      ['ttl.put', (options) => ttl.put('k', 'after', 60_000, options)],
      ['ttl.create', (options) => ttl.create('new', 'after', 60_000, options)],
    )
  if (features.purge && purger !== undefined) writes.push(['purge', (options) => purger.purge('k', options)])
  return [...reads, ...writes]
}

export const abortCases: readonly CaseTemplate<SourceSuite>[] = [
  {
    id: 'abort/before-a-call',
    title: 'a call whose signal was aborted already rejects with its reason, and nothing is written',
    promise: 8,
    run: (suite) =>
      onSource(async (harness) => {
        for (const [what, call] of await callsOf(harness, suite)) {
          const reason = new Error(`before ${what}`)
          const failing = failureOf(() => call({ signal: AbortSignal.abort(reason) }), what)
          assert.equal(await within(failing, 5_000, what), reason, what)
        }
        const entry = await harness.reader.get('k')
        assert.equal(new TextDecoder().decode(entry?.value), 'before')
        assert.equal(await harness.reader.get('new'), undefined)
      })(suite),
  },
  {
    id: 'abort/in-a-listing',
    title:
      'an abort in the middle of a listing ends it with the reason, or comes too late: it is never cut short in silence',
    promise: 8,
    run: onSource(async (harness) => {
      await harness.putAll(Array.from({ length: ENOUGH }, (_, i) => `k.${i}`))
      for (const name of ['keys', 'scan'] as const) {
        const reason = new Error(`in the middle of ${name}`)
        const { seen, error, validAt } = await abortedListing(harness.reader, name, reason)
        if (error === undefined) assert.equal(seen, ENOUGH, `${name} ended early, without an error`)
        else {
          assert.equal(error, reason, name)
          assert.equal(validAt, 'rejected', `${name} states a revision although it is not complete`)
        }
      }
    }),
  },
  {
    id: 'abort/in-a-bulk-write',
    title:
      'an abort in the middle of a bulk write ends it with the reason, also while it waits for its input',
    promise: 8,
    run: onSource(async (harness) => {
      const reason = new Error('in the middle of a bulk write')
      const stop = new AbortController()
      const writing = failureOf(async () => {
        for await (const _ of harness.writer.bulk(oneThenNothing(stop.signal), { signal: stop.signal }))
          stop.abort(reason)
      }, 'an aborted bulk write')
      assert.equal(await within(writing, 5_000, 'the abort'), reason)
      assert.ok((await harness.reader.get('k')) !== undefined, 'what was written before stays')
    }),
  },
]

async function abortedListing(
  reader: KvReader,
  name: 'keys' | 'scan',
  reason: Error,
): Promise<{ readonly seen: number; readonly error: unknown; readonly validAt: string }> {
  const stop = new AbortController()
  const listing = reader[name]('', { signal: stop.signal })
  let seen = 0
  const reading = async (): Promise<void> => {
    for await (const _ of listing) {
      seen++
      stop.abort(reason)
    }
  }
  const error = await reading().then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  const [settled] = await within(Promise.allSettled([listing.validAt]), 5_000, 'validAt')
  return { seen, error, validAt: settled.status }
}

/** One operation, and then silence for as long as the caller waits. */
async function* oneThenNothing(signal: AbortSignal): AsyncGenerator<BulkOperation> {
  yield put('k')
  await new Promise<void>((resolve) => {
    const end = (): void => void setTimeout(resolve, 500)
    if (signal.aborted) end()
    else signal.addEventListener('abort', end, { once: true })
  })
}

function put(key: string): BulkOperation {
  return { operation: 'put', key, value: 'after' }
}

async function drain(items: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of items);
}
