import assert from 'node:assert/strict'
import type { CaseTemplate } from '../conformance-case.ts'
import { onStore } from '../store-harness.ts'
import type { StoreSuite } from '../store-suite.ts'
import { FIXTURE, at, put } from '../updates.ts'

const FIRST = Uint8Array.from({ length: 300 }, (_, i) => i & 255)
const SECOND = Uint8Array.of(0, 255, 0)

const needs = ({ features }: StoreSuite): string | undefined =>
  features.lineage ? undefined : 'keeps no lineage'

export const lineageCases: readonly CaseTemplate<StoreSuite>[] = [
  {
    id: 'lineage/kept',
    title: 'the lineage is committed with the cursor and found again after a reopen',
    promise: 5,
    needs,
    run: onStore(async (store, harness) => {
      await store.apply(FIXTURE, at(7), { lineage: FIRST })
      assert.deepEqual([...store.lineage!], [...FIRST])
      assert.deepEqual([...(await harness.reopen(store)).lineage!], [...FIRST], 'after a reopen')
    }),
  },
  {
    id: 'lineage/absent-keeps',
    title: 'an apply without a lineage keeps the stored one, also across a reopen',
    promise: 5,
    needs,
    run: onStore(async (store, harness) => {
      await store.apply([], at(1), { lineage: FIRST })
      await store.apply([put('k', 'v', 2)], at(2))
      assert.deepEqual([...store.lineage!], [...FIRST])
      const reopened = await harness.reopen(store)
      await reopened.apply([put('k', 'v', 3)], at(3))
      assert.deepEqual([...(await harness.reopen(reopened)).lineage!], [...FIRST])
    }),
  },
  {
    id: 'lineage/newest-wins',
    title: 'a later lineage replaces the earlier one',
    promise: 5,
    needs,
    run: onStore(async (store, harness) => {
      await store.apply([], at(1), { lineage: FIRST })
      await store.apply([], at(2), { lineage: SECOND })
      assert.deepEqual([...(await harness.reopen(store)).lineage!], [...SECOND])
    }),
  },
  {
    id: 'lineage/absent',
    title: 'a store without lineage takes one, keeps none and says so',
    promise: 5,
    needs: ({ features }) => (features.lineage ? 'keeps a lineage' : undefined),
    run: onStore(async (store, harness) => {
      await store.apply(FIXTURE, at(7), { lineage: FIRST })
      assert.equal(store.lineage, undefined)
      const reopened = await harness.reopen(store)
      assert.equal(reopened.lineage, undefined)
      assert.equal(reopened.cursor.revision, 7n)
    }),
  },
]
