import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { KvError } from '@slip/kv-core'
import type { CaseTemplate } from '../conformance-case.ts'
import { onSource } from '../source-harness.ts'
import type { SourceSuite } from '../source-suite.ts'
import { failureOf } from '../typed-errors.ts'
import { within } from '../within.ts'

const narrow = ({ features }: SourceSuite): string | undefined =>
  features.prefixes ? undefined : 'has no prefixes'

export const sessionCases: readonly CaseTemplate<SourceSuite>[] = [
  {
    id: 'abort/rethrows',
    title: 'an abort rejects the pull under way with the reason itself',
    promise: 8,
    run: onSource(async (harness) => {
      const session = harness.watch('all')
      await session.caughtUp()
      const reason = { why: 'this very object' }
      const pulled = failureOf(() => untilItFails(() => session.next()), 'an aborted watch')
      await sleep(50)
      session.abort(reason)
      assert.equal(await within(pulled, 5_000, 'the abort'), reason)
    }),
  },
  {
    id: 'abort/before-the-first-pull',
    title: 'a signal that was aborted already rejects the first pull with its reason',
    promise: 8,
    run: onSource(async (harness) => {
      const reason = new Error('before it began')
      const watch = harness.watcher.watch('all', { signal: AbortSignal.abort(reason) })
      const first = failureOf(() => watch[Symbol.asyncIterator]().next(), 'an aborted watch')
      assert.equal(await within(first, 5_000, 'the abort'), reason)
    }),
  },
  {
    id: 'abort/between-pulls',
    title: 'an abort while the reader holds a batch rejects the next pull with the reason',
    promise: 8,
    run: onSource(async (harness) => {
      await harness.putAll(['a', 'b'])
      const session = harness.watch('all')
      await session.caughtUp()
      const reason = new Error('between two pulls')
      session.abort(reason)
      assert.equal(await failureOf(() => untilItFails(() => session.next()), 'an aborted watch'), reason)
    }),
  },
  {
    id: 'back-pressure/slow-reader',
    title: 'a reader that takes its time still gets everything, once and in order',
    promise: 12,
    run: onSource(async (harness) => {
      const keys = Array.from({ length: 1_500 }, (_, i) => `slow.${i}`)
      const session = harness.watch('all')
      const writing = (async () => {
        const operations = keys.map((key) => ({ operation: 'put' as const, key, value: key }))
        for await (const outcome of harness.writer.bulk(operations)) assert.ok(!('error' in outcome))
      })()
      while (session.updates.at(-1)?.key !== keys.at(-1)) {
        await session.next()
        await sleep(5)
      }
      await writing
      await session.linger(300)
      assert.deepEqual(session.keys(), keys)
    }),
  },
  {
    id: 'sessions/independent',
    title: 'watches at the same time do not disturb each other',
    promise: 3,
    run: onSource(async (harness) => {
      await harness.putAll(['a', 'b'])
      const sessions = [harness.watch('all'), harness.watch('all'), harness.watch('all')]
      for (const session of sessions) await session.caughtUp()
      await sessions[0]!.stop()
      await harness.putAll(['c', 'd'])
      for (const session of sessions.slice(1)) {
        await session.receive(4)
        assert.deepEqual(session.keys(), ['a', 'b', 'c', 'd'])
      }
    }),
  },
  {
    id: 'sessions/end-with-the-source',
    title: 'closing the source ends its watches, and a watch begun afterwards fails with a KvError',
    promise: 8,
    run: onSource(async (harness) => {
      const session = harness.watch('all')
      await session.caughtUp()
      const ended = endOf(
        () => session.pull(),
        () => session.next(),
      )
      await harness.closeSource()
      const error = await within(ended, 10_000, 'the end of the watch')
      assert.ok(error === undefined || KvError.is(error), String(error))
      const after = await failureOf(() => harness.watch('all').next(), 'a watch of a closed source')
      assert.ok(KvError.is(after) || after instanceof assert.AssertionError, String(after))
    }),
  },
  {
    id: 'liveness/a-batch-a-second',
    title: 'a quiet watch yields a batch about every second as proof of life',
    promise: 7,
    run: onSource(async (harness) => {
      const session = harness.watch('all')
      await session.caughtUp()
      let longest = 0
      for (let i = 0; i < 3; i++) {
        const began = performance.now()
        await session.next()
        longest = Math.max(longest, performance.now() - began)
      }
      assert.ok(longest < 3_000, `a silence of ${Math.round(longest)} ms`)
    }),
  },
  {
    id: 'bookmarks/quiet-scope',
    title: 'while others write, the bookmark of a quiet scope passes what they wrote, and never goes back',
    promise: 2,
    needs: narrow,
    run: onSource(async (harness) => {
      const session = harness.watch({ prefix: 'quiet.' })
      await session.caughtUp()
      for (let round = 0; round < 2; round++) {
        const last = (await harness.putAll(['loud.1', 'loud.2', 'loud.3'])).at(-1)!.revision!
        await session.until(() => (session.lastBookmark()?.revision ?? 0n) >= last, `a bookmark at ${last}`)
      }
      assert.deepEqual(session.updates, [])
      const bookmarks = session.batches.flatMap(({ bookmark }) => bookmark?.revision ?? [])
      assert.deepEqual(
        bookmarks,
        bookmarks.toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0)),
      )
    }),
  },
  {
    id: 'bookmarks/never-lie',
    title: 'no update comes at or below a bookmark that was given before it',
    promise: 2,
    needs: narrow,
    run: onSource(async (harness) => {
      const session = harness.watch({ prefix: 'in.' })
      await session.caughtUp()
      const count = 300
      const writing = harness.putAll(
        Array.from({ length: count }, (_, i) => `${i % 3 === 0 ? 'in' : 'out'}.${i}`),
      )
      await writing
      await session.until(() => session.updates.at(-1)?.key === `in.${count - 3}`, 'the last write in scope')
      let frontier = 0n
      for (const { updates, bookmark } of session.batches) {
        for (const { version } of updates)
          assert.ok(version.revision! > frontier, `${version.revision} came after the bookmark ${frontier}`)
        if (bookmark?.revision !== undefined && bookmark.revision > frontier) frontier = bookmark.revision
      }
    }),
  },
  {
    id: 'bookmarks/resume',
    title: 'a watch resumed at any bookmark misses nothing that was not delivered before it',
    promise: 2,
    needs: narrow,
    run: onSource(async (harness) => {
      const session = harness.watch({ prefix: 'in.' })
      await session.caughtUp()
      await harness.putAll(['out.1', 'in.1', 'out.2'])
      await session.until(
        () => session.updates.length === 1 && session.lastBookmark() !== undefined,
        'a bookmark',
      )
      await harness.putAll(['in.2', 'out.3', 'in.3'])
      await session.receive(3)
      await session.stop()
      const delivered: string[] = []
      const tried = new Set<bigint | undefined>()
      for (const { updates, bookmark } of session.batches) {
        delivered.push(...updates.map(({ key }) => key))
        if (bookmark === undefined || bookmark.isNone || tried.has(bookmark.revision)) continue
        tried.add(bookmark.revision)
        const resumed = harness.watch({ prefix: 'in.' }, { after: bookmark })
        await resumed.caughtUp()
        const all = [...new Set([...delivered, ...resumed.keys()])].toSorted()
        assert.deepEqual(all, ['in.1', 'in.2', 'in.3'], `at ${bookmark.revision}`)
        await resumed.stop()
      }
    }),
  },
]

async function untilItFails(step: () => Promise<unknown>): Promise<never> {
  for (;;) await step()
}

/** How a watch ended: undefined for quietly. */
async function endOf(
  pull: () => Promise<IteratorResult<unknown>>,
  take: () => Promise<unknown>,
): Promise<unknown> {
  try {
    while ((await pull()).done !== true) await take()
    return undefined
  } catch (error) {
    return error
  }
}
