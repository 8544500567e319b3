import assert from 'node:assert/strict'
import { KvError, type VersionToken, type WatchOptions } from '@slip/kv-core'
import type { CaseTemplate } from '../conformance-case.ts'
import { onSource, type SourceHarness } from '../source-harness.ts'
import type { SourceSuite } from '../source-suite.ts'
import { failureOf } from '../typed-errors.ts'
import type { PlainUpdate } from '../watch-session.ts'

export const removalCases: readonly CaseTemplate<SourceSuite>[] = [
  {
    id: 'removals/delete',
    title: 'a delete is delivered as a delete with its own version and no reason, live and from the start',
    promise: 3,
    run: onSource(async (harness) => {
      await harness.writer.put('k', 'v')
      await assertRemoval(
        harness,
        {},
        () => harness.writer.delete('k'),
        (version) => ({ operation: 'delete', key: 'k', version }),
      )
    }),
  },
  {
    id: 'removals/purge',
    title: 'a purge is delivered as one purge',
    promise: 3,
    needs: ({ features }) => (features.purge ? undefined : 'has no purge'),
    run: onSource(async (harness) => {
      assert.ok(harness.purger !== undefined, 'purger is there')
      await harness.putAll(['k', 'other'])
      await assertRemoval(
        harness,
        {},
        () => harness.purger!.purge('k'),
        (version) => ({ operation: 'purge', key: 'k', version }),
      )
    }),
  },
  {
    id: 'removals/purge-absent',
    title: 'a source without purge has no purger',
    promise: 8,
    needs: ({ features }) => (features.purge ? 'has purge' : undefined),
    run: onSource(async (harness) => {
      assert.equal(harness.purger, undefined)
    }),
  },
  {
    id: 'removals/tombstone',
    title: 'an empty value is delivered as a delete whose reason is tombstone',
    promise: 3,
    run: onSource(async (harness) => {
      await harness.writer.put('k', 'v')
      await assertRemoval(
        harness,
        {},
        () => harness.writer.put('k', ''),
        (version) => ({
          operation: 'delete',
          key: 'k',
          version,
          reason: 'tombstone',
        }),
      )
    }),
  },
  {
    id: 'removals/tombstone-by-version',
    title: 'a delete with a version is delivered as a tombstone',
    promise: 3,
    needs: ({ features }) => (features.compareAndSwap ? undefined : 'has no compare-and-swap'),
    run: onSource(async (harness) => {
      const written = await harness.writer.put('k', 'v')
      await assertRemoval(
        harness,
        {},
        () => harness.writer.deleteWithVersion('k', written),
        (version) => ({
          operation: 'delete',
          key: 'k',
          version,
          reason: 'tombstone',
        }),
      )
    }),
  },
  {
    id: 'removals/empty-values-kept',
    title: 'with emptyValues keep an empty value is a put of no bytes',
    promise: 3,
    run: onSource(async (harness) => {
      await harness.writer.put('k', 'v')
      await assertRemoval(
        harness,
        { emptyValues: 'keep' },
        () => harness.writer.put('k', ''),
        (version) => ({
          operation: 'put',
          key: 'k',
          version,
          value: '',
        }),
      )
    }),
  },
  {
    id: 'removals/expired',
    title: 'a key whose time to live ran out is delivered as a removal with reason expired, once',
    promise: 4,
    needs: ({ features }) => (features.ttl ? undefined : 'has no time to live'),
    run: onSource(async (harness) => {
      assert.ok(harness.ttl !== undefined, 'ttl is there')
      const session = harness.watch('all')
      await session.caughtUp()
      await harness.ttl.put('k', 'v', 1_000)
      await session.until(() => session.updates.some(({ operation }) => operation !== 'put'), 'the removal')
      await session.linger(500)
      const [written, removed, ...more] = session.updates
      assert.equal(written?.operation, 'put')
      assert.ok(removed !== undefined && removed.operation !== 'put' && removed.key === 'k')
      assert.equal(removed.reason, 'expired')
      assert.ok(removed.version.revision! > written.version.revision!, 'it has a revision of its own')
      assert.deepEqual(more, [])
      assert.equal(await harness.reader.get('k'), undefined)
      await harness.writer.create('k', 'again')
    }),
  },
  {
    id: 'removals/ttl-overwritten',
    title: 'a put without a time to live clears it',
    promise: 4,
    needs: ({ features }) => (features.ttl ? undefined : 'has no time to live'),
    run: onSource(async (harness) => {
      await harness.ttl!.put('k', 'short', 1_000)
      await harness.writer.put('k', 'long')
      const session = harness.watch('all')
      await session.linger(2_500)
      assert.deepEqual(
        session.updates.map(({ operation }) => operation),
        ['put'],
      )
      assert.equal(new TextDecoder().decode((await harness.reader.get('k'))?.value), 'long')
    }),
  },
  {
    id: 'removals/ttl-absent',
    title: 'a source without time to live has no ttl, or refuses it with Unsupported',
    promise: 8,
    needs: ({ features }) => (features.ttl ? 'has time to live' : undefined),
    run: onSource(async (harness) => {
      const { ttl } = harness
      if (ttl === undefined) return
      const error = await failureOf(() => ttl.put('k', 'v', 5_000), 'a time to live')
      assert.ok(KvError.is(error) && error.code === 'Unsupported', String(error))
    }),
  },
]

/** The update seen by a watch that was there, and as the newest of the key by one that comes later. */
async function assertRemoval(
  harness: SourceHarness,
  options: Omit<WatchOptions, 'signal'>,
  remove: () => Promise<VersionToken>,
  expected: (version: string) => PlainUpdate,
): Promise<void> {
  const live = harness.watch('all', options)
  const before = (await live.caughtUp()).length
  const version = (await remove()).toHex()
  await live.receive(before + 1)
  assert.deepEqual(live.plain().slice(before), [expected(version)], 'live')
  const later = harness.watch('all', options)
  await later.caughtUp()
  assert.deepEqual(
    later.plain().filter(({ key }) => key === 'k'),
    [expected(version)],
    'from the start',
  )
}
