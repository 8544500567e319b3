import assert from 'node:assert/strict'
import { VersionToken, WatchCursor, bytesToHex } from '@slip/kv-core'
import { whileWriting } from '../background-writes.ts'
import type { CaseTemplate } from '../conformance-case.ts'
import { onSource } from '../source-harness.ts'
import type { SourceSuite } from '../source-suite.ts'
import { rejectsKv } from '../typed-errors.ts'
import { foldOf } from '../watch-session.ts'

const range = (count: number, name: string): string[] =>
  Array.from({ length: count }, (_, i) => `${name}.${i}`)

export const deliveryCases: readonly CaseTemplate<SourceSuite>[] = [
  {
    id: 'order/live',
    title: 'live updates come in the order of their writes, with key, value and version',
    promise: 3,
    run: onSource(async (harness) => {
      const session = harness.watch('all')
      await session.caughtUp()
      const keys = range(40, 'live')
      const versions = await harness.putAll(keys)
      await session.receive(keys.length)
      assert.deepEqual(
        session.plain(),
        keys.map((key, i) => ({
          operation: 'put',
          key,
          version: versions[i]!.toHex(),
          value: bytesToHex(new TextEncoder().encode(key)),
        })),
      )
    }),
  },
  {
    id: 'order/revisions-ascend',
    title: 'revisions ascend strictly over one watch, from what existed into what is written meanwhile',
    promise: 3,
    run: onSource(async (harness) => {
      await harness.putAll(range(30, 'k'))
      await harness.putAll(range(10, 'k'))
      const session = harness.watch('all')
      await session.next()
      await harness.putAll(range(15, 'k'))
      const last = await harness.writer.delete('k.0')
      await session.until(() => session.updates.at(-1)?.version.equals(last) === true, 'the last write')
      const revisions = session.updates.map(({ version }) => version.revision!)
      for (const [i, revision] of revisions.entries())
        if (i > 0) assert.ok(revision > revisions[i - 1]!, `${revision} after ${revisions[i - 1]}`)
    }),
  },
  {
    id: 'caught-up/once',
    title: 'a watch says caught up once, on the first batch after which all that existed was delivered',
    promise: 3,
    run: onSource(async (harness) => {
      const keys = range(25, 'k')
      await harness.putAll(keys)
      const session = harness.watch('all')
      await session.caughtUp()
      assert.deepEqual([...foldOf(session.updates).keys()], keys)
      await harness.putAll(['later.1', 'later.2'])
      await session.receive(keys.length + 2)
      await session.linger(1_500)
      assert.equal(session.batches.filter(({ caughtUp }) => caughtUp).length, 1)
    }),
  },
  {
    id: 'at-end/nothing-beyond',
    title: 'a batch says that it is at the end only when nothing in scope lies beyond it',
    promise: 1,
    run: onSource(async (harness) => {
      const keys = range(600, 'k')
      await harness.putAll(keys)
      const session = harness.watch('all')
      await session.caughtUp()
      let delivered = 0
      for (const { updates, atEnd } of session.batches) {
        delivered += updates.length
        if (atEnd === true)
          assert.equal(delivered, keys.length, 'delivered when a batch says that it is at the end')
      }
      assert.equal(delivered, keys.length)
    }),
  },
  {
    id: 'caught-up/empty-bucket',
    title: 'a watch of an empty bucket says caught up',
    promise: 3,
    run: onSource(async (harness) => {
      assert.deepEqual(await harness.watch('all').caughtUp(), [])
    }),
  },
  {
    id: 'caught-up/empty-scope',
    title: 'a watch of a scope without keys says caught up, and delivers nothing',
    promise: 3,
    needs: ({ features }) => (features.prefixes ? undefined : 'has no prefixes'),
    run: onSource(async (harness) => {
      await harness.putAll(range(5, 'outside'))
      assert.deepEqual(await harness.watch({ prefix: 'inside.' }).caughtUp(), [])
    }),
  },
  {
    id: 'caught-up/under-writes',
    title: 'what was acknowledged before the watch began is there when it says caught up, writers or not',
    promise: 3,
    run: onSource(async (harness) => {
      const before = range(300, 'k')
      await harness.putAll(before)
      const write = (i: number): Promise<unknown> => harness.writer.put(`k.${i % 300}`, `again ${i}`)
      await whileWriting(write, async () => {
        const session = harness.watch('all')
        await session.caughtUp()
        const live = foldOf(session.updates)
        const missing = before.filter((key) => !live.has(key))
        assert.deepEqual(missing, [], 'missing at caught up')
      })
    }),
  },
  {
    id: 'caught-up/after-resume',
    title: 'a resumed watch with nothing to deliver says caught up',
    promise: 3,
    run: onSource(async (harness) => {
      const versions = await harness.putAll(range(5, 'k'))
      const session = harness.watch('all', { after: WatchCursor.fromToken(versions.at(-1)!) })
      assert.deepEqual(await session.caughtUp(), [])
    }),
  },
  {
    id: 'resume/exactly-the-difference',
    title: 'after k more writes a resumed watch delivers exactly those k, in order',
    promise: 3,
    run: onSource(async (harness) => {
      await harness.putAll(range(20, 'old'))
      const session = harness.watch('all')
      const cursor = WatchCursor.fromToken((await session.caughtUp()).at(-1)!.version)
      await session.stop()
      const written = range(7, 'new')
      await harness.putAll(written)
      const resumed = harness.watch('all', { after: cursor })
      await resumed.receive(7)
      assert.deepEqual(resumed.keys(), written)
    }),
  },
  {
    id: 'resume/from-any-position',
    title: 'a watch resumes from any revision with the very next one',
    promise: 3,
    run: onSource(async (harness) => {
      const keys = range(6, 'k')
      const versions = await harness.putAll(keys)
      for (const [i, version] of versions.entries()) {
        const session = harness.watch('all', { after: WatchCursor.fromToken(version) })
        await session.caughtUp()
        assert.deepEqual(session.keys(), keys.slice(i + 1), `after ${version.revision}`)
        await session.stop()
      }
    }),
  },
  {
    id: 'resume/removals',
    title: 'a resumed watch delivers the deletes of meanwhile',
    promise: 3,
    run: onSource(async (harness) => {
      const versions = await harness.putAll(['a', 'b', 'c'])
      await harness.writer.delete('b')
      const session = harness.watch('all', { after: WatchCursor.fromToken(versions[2]!) })
      await session.receive(1)
      assert.deepEqual(
        session.updates.map(({ operation, key }) => ({ operation, key })),
        [{ operation: 'delete', key: 'b' }],
      )
    }),
  },
  {
    id: 'resume/last-number-refused',
    title: 'a cursor of 2^64-1, after which nothing can come, is CursorExpired',
    promise: 8,
    run: onSource(async (harness) => {
      await harness.putAll(['a'])
      const session = harness.watch('all', { after: WatchCursor.fromRevision(2n ** 64n - 1n) })
      await rejectsKv(() => session.next(), 'CursorExpired', 'the last cursor')
    }),
  },
  {
    id: 'resume/foreign-version-refused',
    title: 'a cursor of another engine, without a number, is CursorExpired',
    promise: 8,
    run: onSource(async (harness) => {
      await harness.putAll(['a'])
      for (const length of [1, 10]) {
        const token = VersionToken.fromBytes(new Uint8Array(length).fill(1))
        const session = harness.watch('all', { after: WatchCursor.fromToken(token) })
        await rejectsKv(() => session.next(), 'CursorExpired', `a cursor of ${length} bytes`)
      }
    }),
  },
]
