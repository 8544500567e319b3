import assert from 'node:assert/strict'
import type { CaseTemplate } from '../conformance-case.ts'
import { onSource } from '../source-harness.ts'
import type { SourceSuite } from '../source-suite.ts'

const needs = ({ features }: SourceSuite): string | undefined =>
  features.describe ? undefined : 'describe gives no numbers'

export const describeCases: readonly CaseTemplate<SourceSuite>[] = [
  {
    id: 'describe/numbers',
    title: 'describe counts the keys, deleted ones with a marker included, at the last revision',
    promise: 4,
    needs,
    run: onSource(async (harness) => {
      const empty = await harness.watcher.describe('all')
      assert.equal(empty.keyCount, 0n)
      assert.equal(empty.lastRevision, 0n)
      await harness.putAll(['a', 'b', 'c', 'a'])
      await harness.writer.put('empty', '')
      const last = await harness.writer.delete('b')
      const { firstRevision, lastRevision, keyCount } = await harness.watcher.describe('all')
      assert.equal(lastRevision, last.revision)
      assert.equal(keyCount, 4n)
      assert.ok(firstRevision !== undefined && firstRevision >= 1n && firstRevision <= lastRevision!)
    }),
  },
  {
    id: 'describe/scope',
    title:
      'describe of a narrow scope counts its keys; where a prefix ends inside a token it may leave the count out',
    promise: 4,
    needs: (suite) => needs(suite) ?? (suite.features.prefixes ? undefined : 'has no prefixes'),
    run: onSource(async (harness) => {
      await harness.putAll(['node', 'node.a', 'node.b', 'nodes', 'svc.x', 'svc.y'])
      await harness.writer.delete('node.b')
      const countOf = async (prefixes: readonly string[]): Promise<bigint | undefined> =>
        (await harness.watcher.describe({ prefixes })).keyCount
      for (const [prefixes, count] of [
        [['node.'], 2n],
        [['node.', 'svc.'], 4n],
        [['none.'], 0n],
        [[''], 6n],
      ] as const)
        assert.equal(await countOf(prefixes), count, prefixes.join(' '))
      const insideAToken = await countOf(['nod'])
      assert.ok(insideAToken === undefined || insideAToken === 4n, `4 or left out, not ${insideAToken}`)
    }),
  },
  {
    id: 'describe/incarnation',
    title: 'the incarnation stays the same over writes, and differs between buckets',
    promise: 5,
    needs,
    run: async (suite) => {
      let first: string | undefined
      await onSource(async (harness) => {
        first = (await harness.watcher.describe('all')).incarnation
        assert.ok(first !== undefined && first !== '', 'there is one')
        await harness.putAll(['a', 'b'])
        await harness.writer.delete('a')
        assert.equal((await harness.watcher.describe('all')).incarnation, first)
      })(suite)
      await onSource(async (harness) => {
        assert.notEqual((await harness.watcher.describe('all')).incarnation, first)
      })(suite)
    },
  },
  {
    id: 'describe/absent',
    title: 'a source that cannot count leaves the numbers out',
    promise: 4,
    needs: ({ features }) => (features.describe ? 'describe gives numbers' : undefined),
    run: onSource(async (harness) => {
      const { keyCount, lastRevision } = await harness.watcher.describe('all')
      assert.deepEqual([keyCount, lastRevision], [undefined, undefined])
    }),
  },
]
