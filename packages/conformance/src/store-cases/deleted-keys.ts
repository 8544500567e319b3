import assert from 'node:assert/strict'
import type { CaseTemplate } from '../conformance-case.ts'
import { FoldModel, deletedOf } from '../fold-model.ts'
import { onStore } from '../store-harness.ts'
import type { StoreSuite } from '../store-suite.ts'
import { FIXTURE, at, del, purge, put } from '../updates.ts'

const needs = ({ features }: StoreSuite): string | undefined =>
  features.deletedKeys ? undefined : 'keeps no deleted keys'

const UPDATES = [...FIXTURE, purge('svc.y', 8), del('never', 9), del('\u{10000}', 10), del('\u{e000}', 11)]

export const deletedKeyCases: readonly CaseTemplate<StoreSuite>[] = [
  {
    id: 'deleted-keys/listed',
    title: 'names whose last update was a removal are listed with its version, in byte order',
    promise: 4,
    needs,
    run: onStore(async (store) => {
      await store.apply(UPDATES, at(11))
      const model = FoldModel.of(UPDATES)
      for (const prefix of [undefined, '', 'n', 'svc.', 'zzz'])
        assert.deepEqual(deletedOf(store, prefix), model.deleted(prefix), `under ${String(prefix)}`)
    }),
  },
  {
    id: 'deleted-keys/kept',
    title: 'deleted keys are still known after a reopen',
    promise: 4,
    needs,
    run: onStore(async (store, harness) => {
      await store.apply(UPDATES, at(11))
      const reopened = await harness.reopen(store)
      assert.deepEqual(deletedOf(reopened), FoldModel.of(UPDATES).deleted())
      assert.equal(reopened.stats.deletedKeys, 5)
    }),
  },
  {
    id: 'deleted-keys/put-again',
    title: 'a key put again is no deleted key, one deleted again is listed once, at its newest version',
    promise: 4,
    needs,
    run: onStore(async (store, harness) => {
      const more = [put('node.b', 'back', 12), del('never', 13)]
      await store.apply(UPDATES, at(11))
      await store.apply(more, at(13))
      const model = FoldModel.of([...UPDATES, ...more])
      assert.deepEqual(deletedOf(store), model.deleted())
      assert.deepEqual(deletedOf(await harness.reopen(store)), model.deleted())
    }),
  },
  {
    id: 'deleted-keys/absent',
    title: 'a store without deleted keys has no deletedKeys(), and counts none',
    promise: 4,
    needs: ({ features }) => (features.deletedKeys ? 'keeps deleted keys' : undefined),
    run: onStore(async (store) => {
      await store.apply(UPDATES, at(11))
      assert.equal(typeof store.deletedKeys, 'undefined')
      assert.equal(store.stats.deletedKeys, 0)
    }),
  },
]
