import assert from 'node:assert/strict'
import { MAX_LINEAGE_BYTES, SnapshotError } from '@slip/kv-core'
import type { CaseTemplate } from '../conformance-case.ts'
import { FoldModel, assertHolds } from '../fold-model.ts'
import { StoreHarness } from '../store-harness.ts'
import type { StoreSuite } from '../store-suite.ts'
import { failureOf, rejectsSnapshot } from '../typed-errors.ts'
import { FIXTURE, at, del, put } from '../updates.ts'

// A store that lets the value through writes all of it.
const MOST_BYTES_TO_MAKE = process.env['SLIP_LARGE_VALUES'] === '1' ? 2 ** 31 : 2 ** 28
const MOST_BYTES_TO_WRITE = 2 ** 24

export const limitCases: readonly CaseTemplate<StoreSuite>[] = [
  {
    id: 'limits/key',
    title: 'a key at the limit is kept, one byte more is LimitExceeded in a put and in a delete',
    promise: 15,
    needs: ({ features }) => tooLarge(features.maxKeyBytes, MOST_BYTES_TO_WRITE),
    run: (suite) =>
      StoreHarness.with(suite, async (harness) => {
        const { maxKeyBytes } = suite.features
        const store = await harness.open()
        const longest = 'é'.repeat(Math.floor(maxKeyBytes / 2)) + 'e'.repeat(maxKeyBytes % 2)
        const kept = put(longest, 'v', 1)
        await store.apply([kept], at(1))
        for (const update of [put(`${longest}x`, 'v', 2), del(`${longest}x`, 2)]) {
          await rejectsSnapshot(() => store.apply([update], at(2)), 'LimitExceeded', 'one byte more')
          assertHolds(store, FoldModel.of([kept]), 'after the refusal')
        }
        assertHolds(await harness.reopen(store), FoldModel.of([kept]), 'after the reopen')
      }),
  },
  {
    id: 'limits/staged',
    title: 'a staged fold refuses a key or a value one byte over as the fold does, and goes on without it',
    promise: 15,
    needs: ({ features }) =>
      features.staging
        ? (tooLarge(features.maxKeyBytes, MOST_BYTES_TO_WRITE) ??
          tooLarge(features.maxValueBytes, MOST_BYTES_TO_MAKE))
        : 'has no staging',
    run: (suite) =>
      StoreHarness.with(suite, async (harness) => {
        const { maxKeyBytes, maxValueBytes } = suite.features
        const store = await harness.open()
        await store.apply(FIXTURE, at(7))
        const staged = await store.stage!()
        await staged.apply([put('a', 'v', 11)], at(11))
        for (const over of [
          put('k'.repeat(maxKeyBytes + 1), 'v', 12),
          put('large', new Uint8Array(maxValueBytes + 1), 12),
        ])
          await rejectsSnapshot(
            () => staged.apply([put('b', 'v', 12), over], at(12)),
            'LimitExceeded',
            'one byte over in a staged fold',
          )
        assertHolds(store, FoldModel.of(FIXTURE), 'after the refusals')
        assert.equal(staged.has('b'), false, 'nothing of a refused batch is staged')
        await staged.apply([put('c', 'v', 13)], at(13))
        await staged.commit()
        const model = FoldModel.of([put('a', 'v', 11), put('c', 'v', 13)])
        assertHolds(await harness.reopen(store), model, 'after the commit and a reopen')
      }),
  },
  {
    id: 'limits/value',
    title: 'a value one byte over the limit is LimitExceeded before anything is written',
    promise: 15,
    needs: ({ features }) => tooLarge(features.maxValueBytes, MOST_BYTES_TO_MAKE),
    run: (suite) =>
      StoreHarness.with(suite, async (harness) => {
        const store = await harness.open()
        await store.apply(FIXTURE, at(7))
        const batch = [
          put('small', 'v', 8),
          put('large', new Uint8Array(suite.features.maxValueBytes + 1), 9),
        ]
        await rejectsSnapshot(() => store.apply(batch, at(9)), 'LimitExceeded', 'a value over the limit')
        assertHolds(store, FoldModel.of(FIXTURE), 'after the refusal')
        assertHolds(await harness.reopen(store), FoldModel.of(FIXTURE), 'after the reopen')
      }),
  },
  {
    id: 'limits/value-kept',
    title: 'a value at the limit is kept',
    promise: 15,
    needs: ({ features }) => tooLarge(features.maxValueBytes, MOST_BYTES_TO_WRITE),
    run: (suite) =>
      StoreHarness.with(suite, async (harness) => {
        const store = await harness.open()
        const value = new Uint8Array(suite.features.maxValueBytes).fill(7)
        await store.apply([put('large', value, 1)], at(1))
        const read = (await harness.reopen(store)).get('large')
        assert.equal(Buffer.compare(read!.value, value), 0)
      }),
  },
  {
    id: 'limits/lineage',
    title: 'a lineage over 16 KiB is refused and nothing changes',
    promise: 12,
    needs: ({ features }) => (features.lineage ? undefined : 'keeps no lineage'),
    run: (suite) =>
      StoreHarness.with(suite, async (harness) => {
        const store = await harness.open()
        await store.apply(FIXTURE, at(7), { lineage: new Uint8Array(MAX_LINEAGE_BYTES).fill(1) })
        const lineage = new Uint8Array(MAX_LINEAGE_BYTES + 1)
        const error = await failureOf(
          () => store.apply([put('k', 'v', 8)], at(8), { lineage }),
          'a lineage of 16 KiB + 1',
        )
        assert.ok(
          error instanceof RangeError || (SnapshotError.is(error) && error.code === 'LimitExceeded'),
          `RangeError or LimitExceeded, not ${String(error)}`,
        )
        const reopened = await harness.reopen(store)
        assert.equal(reopened.cursor.revision, 7n)
        assert.equal(reopened.lineage?.length, MAX_LINEAGE_BYTES)
      }),
  },
]

function tooLarge(limit: number, most: number): string | undefined {
  return limit > most ? `a limit of ${limit} bytes is too large to test` : undefined
}
