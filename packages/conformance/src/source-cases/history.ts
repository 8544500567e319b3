import assert from 'node:assert/strict'
import type { KvHistory, StoredMessage } from '@slip/kv-core'
import { CaseSkipped, type CaseTemplate } from '../conformance-case.ts'
import { onSource, type SourceHarness } from '../source-harness.ts'
import type { SourceSuite } from '../source-suite.ts'

const needs = ({ features }: SourceSuite): string | undefined =>
  features.history === false ? 'has no history' : undefined

export const historyCases: readonly CaseTemplate<SourceSuite>[] = [
  {
    id: 'history/as-delivered',
    title: 'at and newest give each message as the watch delivered it, removals and tombstones included',
    promise: 5,
    needs,
    run: onSource(async (harness) => {
      const history = historyOf(harness)
      await harness.putAll(['a', 'b', 'c'])
      await harness.writer.delete('b')
      await harness.writer.put('c', '')
      const session = harness.watch('all')
      for (const { key, version, writtenAtMs } of await session.caughtUp()) {
        const message = { key, revision: version.revision, writtenAtMs }
        assert.ok(writtenAtMs !== undefined, `${key} is delivered with its time`)
        assert.deepEqual(await history.at(version.revision!), message, `at ${version.revision}`)
        assert.deepEqual(await history.newest(key), message, `newest ${key}`)
      }
    }),
  },
  {
    id: 'history/times',
    title: 'the time of a message is that of its write, in Unix milliseconds, live as well as from the start',
    promise: 5,
    needs,
    run: onSource(async (harness) => {
      historyOf(harness)
      const before = Date.now()
      const live = harness.watch('all')
      await live.caughtUp()
      await harness.putAll(['a', 'b'])
      await harness.writer.delete('c')
      await live.receive(3)
      const times = live.updates.map(({ writtenAtMs }) => writtenAtMs ?? 0)
      // The clock of the bucket may be another one, but not a different unit.
      for (const time of times) assert.ok(Math.abs(time - before) < 3_600_000, `${time} is near ${before}`)
      assert.deepEqual(
        times,
        times.toSorted((a, b) => a - b),
      )
      const later = harness.watch('all')
      await later.caughtUp()
      assert.deepEqual(
        later.updates.map(({ writtenAtMs }) => writtenAtMs),
        times,
      )
    }),
  },
  {
    id: 'history/replaced',
    title: 'a revision that was replaced, one that was never given and a key that never was are undefined',
    promise: 5,
    needs,
    run: onSource(async (harness) => {
      const history = historyOf(harness)
      const [first] = await harness.putAll(['a'])
      const second = await harness.writer.put('a', 'again')
      assert.equal(await history.at(first!.revision!), undefined)
      assert.equal((await history.newest('a'))?.revision, second.revision)
      assert.equal(await history.at(second.revision! + 5n), undefined)
      assert.equal(await history.newest('never'), undefined)
    }),
  },
  {
    id: 'history/first-after',
    title: 'firstAfter gives the oldest stored message above a revision',
    promise: 5,
    needs,
    run: onSource(async (harness) => {
      const history = historyOf(harness)
      assert.equal(await history.firstAfter(0n, 'all'), undefined)
      const versions = await harness.putAll(['a', 'b', 'c', 'a'])
      const [, second, third, fourth] = versions.map(({ revision }) => revision!)
      const revisions = async (...after: bigint[]): Promise<(bigint | undefined)[]> => {
        const found = await Promise.all(after.map((each) => history.firstAfter(each, 'all')))
        return found.map((message: StoredMessage | undefined) => message?.revision)
      }
      assert.deepEqual(await revisions(0n, second!, third!, fourth!), [second, third, fourth, undefined])
      assert.equal((await history.firstAfter(second!, 'all'))?.key, 'c')
    }),
  },
  {
    id: 'history/first-after-scope',
    title: 'firstAfter of a narrow scope passes by what is out of it',
    promise: 5,
    needs: (suite) => needs(suite) ?? (suite.features.prefixes ? undefined : 'has no prefixes'),
    run: onSource(async (harness) => {
      const history = historyOf(harness)
      await harness.putAll(['node.a', 'svc.a', 'nodes', 'other', 'svc.b'])
      const keyAfter = async (revision: bigint, ...prefixes: string[]): Promise<string | undefined> =>
        (await history.firstAfter(revision, { prefixes }))?.key
      const first = (await history.newest('node.a'))!.revision
      assert.equal(await keyAfter(first, 'svc.'), 'svc.a')
      assert.equal(await keyAfter(first, 'node.'), undefined)
      assert.equal(await keyAfter(first, 'nod'), 'nodes')
      assert.equal(await keyAfter(first + 1n, 'node.', 'svc.'), 'svc.b')
      assert.equal(await keyAfter(first, 'none.'), undefined)
    }),
  },
  {
    id: 'history/settings',
    title: 'describe says how many revisions of a key the bucket keeps',
    promise: 4,
    needs: (suite) => needs(suite) ?? (suite.features.describe ? undefined : 'describe gives no numbers'),
    run: onSource(async (harness) => {
      historyOf(harness)
      assert.equal((await harness.watcher.describe('all')).historyPerKey, 1)
    }),
  },
  {
    id: 'history/absent',
    title: 'a source that cannot look into its bucket has no history',
    promise: 5,
    needs: ({ features }) => (features.history === false ? undefined : 'has a history, or does not say'),
    run: onSource(async (harness) => {
      assert.equal(harness.watcher.history, undefined)
    }),
  },
]

function historyOf(harness: SourceHarness): KvHistory {
  const { history } = harness.watcher
  if (history === undefined) throw new CaseSkipped('the watcher has no history')
  return history
}
