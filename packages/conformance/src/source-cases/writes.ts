import assert from 'node:assert/strict'
import { KvError, VersionToken, type BulkOperation, type KvErrorCode } from '@slip/kv-core'
import type { CaseTemplate } from '../conformance-case.ts'
import { SourceHarness, onSource } from '../source-harness.ts'
import type { SourceSuite } from '../source-suite.ts'
import { failureOf, rejectsKv } from '../typed-errors.ts'

const cas = ({ features }: SourceSuite): string | undefined =>
  features.compareAndSwap ? undefined : 'has no compare-and-swap'

/** How a key comes into a state, and what a create then says. */
const CREATES: readonly (readonly [
  string,
  (harness: SourceHarness) => Promise<unknown>,
  KvErrorCode | undefined,
])[] = [
  ['a key that never was', async () => {}, undefined],
  ['a live key', (harness) => harness.writer.put('k', 'v'), 'AlreadyExists'],
  [
    'a deleted key',
    async (harness) => [await harness.writer.put('k', 'v'), await harness.writer.delete('k')],
    undefined,
  ],
  [
    'a key deleted twice',
    async (harness) => [await harness.writer.delete('k'), await harness.writer.delete('k')],
    undefined,
  ],
  ['an empty value', (harness) => harness.writer.put('k', ''), 'AlreadyExists'],
  [
    'a tombstone',
    async (harness) => harness.writer.deleteWithVersion('k', await harness.writer.put('k', 'v')),
    'AlreadyExists',
  ],
]

export const writeCases: readonly CaseTemplate<SourceSuite>[] = [
  {
    id: 'writes/versions',
    title: 'each write gives its version: ascending, and what get and entry say',
    promise: 1,
    run: onSource(async (harness) => {
      const versions = [
        await harness.writer.put('a', '1'),
        await harness.writer.put('b', '2'),
        await harness.writer.put('a', '3'),
      ]
      const revisions = versions.map(({ revision }) => revision!)
      assert.ok(revisions[0]! < revisions[1]! && revisions[1]! < revisions[2]!, revisions.join(' '))
      assert.equal((await harness.reader.get('a'))?.version.toHex(), versions[2]!.toHex())
      assert.equal((await harness.reader.entry('b'))?.version.toHex(), versions[1]!.toHex())
      const removed = await harness.writer.delete('a')
      assert.ok(removed.revision! > revisions[2]!)
    }),
  },
  {
    id: 'writes/bytes',
    title: 'every byte value comes back as it was written; a string is its UTF-8',
    promise: 10,
    run: onSource(async (harness) => {
      const every = Uint8Array.from({ length: 256 }, (_, i) => i)
      await harness.writer.put('every', every)
      await harness.writer.put('text', 'grüße \u{1f600}')
      assert.deepEqual([...(await harness.reader.get('every'))!.value], [...every])
      assert.equal(new TextDecoder().decode((await harness.reader.get('text'))!.value), 'grüße \u{1f600}')
    }),
  },
  {
    id: 'writes/delete-of-nothing',
    title: 'deleting a key that is not there is no error',
    promise: 8,
    run: onSource(async (harness) => {
      await harness.writer.delete('never')
      assert.equal(await harness.reader.get('never'), undefined)
    }),
  },
  {
    id: 'writes/create',
    title: 'create writes over nothing and over removals, and is AlreadyExists over anything stored',
    promise: 1,
    needs: cas,
    run: async (suite) => {
      for (const [what, prepare, code] of CREATES)
        await SourceHarness.with(suite, async (harness) => {
          await prepare(harness)
          if (code === undefined) {
            const version = await harness.writer.create('k', 'created')
            assert.equal((await harness.reader.get('k'))?.version.toHex(), version.toHex(), what)
          } else await rejectsKv(() => harness.writer.create('k', 'created'), code, `create over ${what}`)
        })
    },
  },
  {
    id: 'writes/create-over-purge',
    title: 'create writes over a purge',
    promise: 1,
    needs: (suite) => cas(suite) ?? (suite.features.purge ? undefined : 'has no purge'),
    run: onSource(async (harness) => {
      await harness.writer.put('k', 'v')
      await harness.purger!.purge('k')
      assert.equal(await harness.reader.get('k'), undefined)
      await harness.writer.create('k', 'again')
      await rejectsKv(() => harness.writer.create('k', 'twice'), 'AlreadyExists', 'create over the live key')
    }),
  },
  {
    id: 'writes/update',
    title: 'update writes at the expected version only; else RevisionMismatch and nothing changes',
    promise: 1,
    needs: cas,
    run: onSource(async (harness) => {
      const first = await harness.writer.put('k', '1')
      const second = await harness.writer.update('k', '2', first)
      for (const expected of [first, VersionToken.fromRevision(999_999n)])
        await rejectsKv(
          () => harness.writer.update('k', '3', expected),
          'RevisionMismatch',
          'another version',
        )
      await rejectsKv(() => harness.writer.update('absent', '1', first), 'RevisionMismatch', 'no such key')
      assert.equal((await harness.reader.get('k'))?.version.toHex(), second.toHex())
      assert.equal(await harness.reader.get('absent'), undefined)
    }),
  },
  {
    id: 'writes/update-without-a-number',
    title: 'update with an unknown or a foreign version is refused and writes nothing',
    promise: 1,
    needs: cas,
    run: onSource(async (harness) => {
      const written = await harness.writer.put('k', '1')
      for (const expected of [VersionToken.unknown, VersionToken.fromHex('00112233445566778899')]) {
        const error = await failureOf(() => harness.writer.update('k', '2', expected), 'an update')
        assert.ok(
          KvError.is(error) || error instanceof TypeError || error instanceof RangeError,
          String(error),
        )
      }
      assert.equal((await harness.reader.get('k'))?.version.toHex(), written.toHex())
    }),
  },
  {
    id: 'writes/delete-with-version',
    title: 'deleteWithVersion leaves a tombstone at the expected version only',
    promise: 1,
    needs: cas,
    run: onSource(async (harness) => {
      const first = await harness.writer.put('k', '1')
      const second = await harness.writer.put('k', '2')
      await rejectsKv(
        () => harness.writer.deleteWithVersion('k', first),
        'RevisionMismatch',
        'an old version',
      )
      await rejectsKv(
        () => harness.writer.deleteWithVersion('absent', first),
        'RevisionMismatch',
        'no such key',
      )
      const tombstone = await harness.writer.deleteWithVersion('k', second)
      assert.equal(await harness.reader.get('k'), undefined)
      const entry = await harness.reader.entry('k')
      assert.equal(entry?.value.length, 0)
      assert.equal(entry.version.toHex(), tombstone.toHex())
    }),
  },
  {
    id: 'writes/one-winner',
    title: 'of many racing creates, and of many racing updates, exactly one wins',
    promise: 1,
    needs: cas,
    run: onSource(async (harness) => {
      const racers = Array.from({ length: 16 }, (_, i) => `${i}`)
      const created = await Promise.allSettled(racers.map((value) => harness.writer.create('k', value)))
      const winner = onlyWinner(created, 'AlreadyExists')
      const updated = await Promise.allSettled(
        racers.map((value) => harness.writer.update('k', value, winner)),
      )
      const last = onlyWinner(updated, 'RevisionMismatch')
      assert.equal((await harness.reader.get('k'))?.version.toHex(), last.toHex())
    }),
  },
  {
    id: 'writes/compare-and-swap-absent',
    title: 'a source without compare-and-swap refuses it with Unsupported',
    promise: 8,
    needs: ({ features }) => (features.compareAndSwap ? 'has compare-and-swap' : undefined),
    run: onSource(async (harness) => {
      const written = await harness.writer.put('k', '1')
      await rejectsKv(() => harness.writer.create('other', 'v'), 'Unsupported', 'create')
      await rejectsKv(() => harness.writer.update('k', '2', written), 'Unsupported', 'update')
      await rejectsKv(
        () => harness.writer.deleteWithVersion('k', written),
        'Unsupported',
        'deleteWithVersion',
      )
    }),
  },
  {
    id: 'writes/bulk',
    title: 'a bulk write gives one outcome for each operation, in order, and its watch order is theirs',
    promise: 1,
    run: onSource(async (harness) => {
      const session = harness.watch('all')
      await session.caughtUp()
      const puts: BulkOperation[] = Array.from({ length: 500 }, (_, i) => ({
        operation: 'put',
        key: `b.${i}`,
        value: `${i}`,
      }))
      const operations: BulkOperation[] = [...puts, { operation: 'delete', key: 'b.0' }]
      const outcomes = []
      for await (const outcome of harness.writer.bulk(operations, { window: 32 })) outcomes.push(outcome)
      assert.deepEqual(
        outcomes.map(({ key }) => key),
        operations.map(({ key }) => key),
      )
      const revisions = outcomes.map((outcome) => ('version' in outcome ? outcome.version.revision! : -1n))
      for (const [i, revision] of revisions.entries())
        assert.ok(revision > (revisions[i - 1] ?? 0n), `outcome ${i}`)
      await session.until(() => session.updates.at(-1)?.operation === 'delete', 'the delete')
      assert.equal(session.updates.at(-1)?.version.revision, revisions.at(-1))
    }),
  },
  {
    id: 'writes/bulk-errors',
    title: 'what fails in a bulk write is the outcome of that operation, typed, and the rest goes on',
    promise: 8,
    needs: cas,
    run: onSource(async (harness) => {
      await harness.writer.put('taken', 'v')
      const operations: BulkOperation[] = [
        { operation: 'create', key: 'free', value: '1' },
        { operation: 'create', key: 'taken', value: '2' },
        { operation: 'put', key: 'not a key', value: '3' },
        { operation: 'put', key: 'last', value: '4' },
      ]
      const outcomes = []
      for await (const outcome of harness.writer.bulk(asyncly(operations))) outcomes.push(outcome)
      assert.deepEqual(
        outcomes.map((outcome) => ('error' in outcome ? outcome.error.code : 'written')),
        ['written', 'AlreadyExists', 'InvalidKey', 'written'],
      )
      assert.equal(new TextDecoder().decode((await harness.reader.get('taken'))?.value), 'v')
      assert.ok(await harness.reader.get('last'))
    }),
  },
  {
    id: 'writes/invalid-keys',
    title: 'a key no bucket can hold is InvalidKey in every write',
    promise: 15,
    run: onSource(async (harness) => {
      for (const key of ['', ' ', 'a b', '.a', 'a.', 'a..b', 'a*', '>', 'a.>', 'tab\there', 'new\nline']) {
        const what = JSON.stringify(key)
        await rejectsKv(() => harness.writer.put(key, 'v'), 'InvalidKey', `put ${what}`)
        await rejectsKv(() => harness.writer.delete(key), 'InvalidKey', `delete ${what}`)
        await rejectsKv(
          () => harness.writer.create(key, 'v'),
          ['InvalidKey', 'Unsupported'],
          `create ${what}`,
        )
      }
    }),
  },
]

function onlyWinner(
  results: readonly PromiseSettledResult<VersionToken>[],
  loserCode: KvErrorCode,
): VersionToken {
  const winners = results.filter((result) => result.status === 'fulfilled')
  assert.equal(winners.length, 1, 'one winner')
  for (const result of results) {
    if (result.status === 'fulfilled') continue
    const { reason } = result as { readonly reason: unknown }
    assert.ok(KvError.is(reason) && reason.code === loserCode, `${loserCode}, not ${String(reason)}`)
  }
  return winners[0]!.value
}

async function* asyncly<T>(items: readonly T[]): AsyncGenerator<T> {
  for (const item of items) {
    await Promise.resolve()
    yield item
  }
}
