import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { SnapshotError, type SnapshotStore, type SnapshotView } from '@slip/kv-core'
import type { CaseTemplate } from '../conformance-case.ts'
import { FoldModel, assertReads, plain } from '../fold-model.ts'
import { onStore } from '../store-harness.ts'
import type { StoreSuite } from '../store-suite.ts'
import { throwsSnapshot } from '../typed-errors.ts'
import { FIXTURE, at, del, put } from '../updates.ts'

const needs = ({ features }: StoreSuite): string | undefined => (features.views ? undefined : 'has no views')

const LATER = [put('node.a', 'later', 8), del('svc.x', 9), put('zzz', 'new', 10)]

export const viewCases: readonly CaseTemplate<StoreSuite>[] = [
  {
    id: 'views/pinned',
    title: 'a view keeps showing its own cursor and nothing of later commits',
    promise: 1,
    needs,
    run: onStore(async (store) => {
      const before = FoldModel.of(FIXTURE)
      await store.apply(FIXTURE, at(7))
      const view = viewOf(store)
      await store.apply(LATER, at(10))
      assertReads(view, before, 'in the view')
      assertReads(store, FoldModel.of([...FIXTURE, ...LATER]), 'in the store')
      assert.deepEqual(
        view
          .getMany(['node.a', 'zzz', 'svc.x'])
          .map((entry) => (entry === undefined ? undefined : plain(entry))),
        ['node.a', 'zzz', 'svc.x'].map((key) => before.get(key)),
      )
      assert.equal(view.has('zzz'), false)
      assert.equal(view.has('svc.x'), true)
      assert.deepEqual(view.range('svc.').map(plain), before.range('svc.'))
      assert.deepEqual(
        [...view.entries('', { reverse: true })].map(plain),
        before.range('', { reverse: true }),
      )
      assert.deepEqual([...view.keys('node.')], ['node.a', 'node.c'])
      view.close()
    }),
  },
  {
    id: 'views/several',
    title: 'views of different cursors live side by side, over many commits',
    promise: 1,
    needs,
    run: onStore(async (store) => {
      const updates = Array.from({ length: 40 }, (_, i) =>
        i % 5 === 4 ? del(`k.${i % 3}`, i + 1) : put(`k.${i % 7}`, `${i}`, i + 1),
      )
      const views: SnapshotView[] = []
      for (const [i, update] of updates.entries()) {
        await store.apply([update], at(i + 1))
        views.push(viewOf(store))
      }
      for (const [i, view] of views.entries())
        assertReads(view, FoldModel.of(updates.slice(0, i + 1)), `in view ${i + 1}`)
      for (const view of views) view.close()
    }),
  },
  {
    id: 'views/closed',
    title: 'reads of a closed view throw ViewExpired; closing twice is no error',
    promise: 8,
    needs,
    run: onStore(async (store) => {
      await store.apply(FIXTURE, at(7))
      const view = viewOf(store)
      view.close()
      view.close()
      view[Symbol.dispose]()
      for (const [name, read] of readsOf(view))
        throwsSnapshot(read, 'ViewExpired', `${name} of a closed view`)
    }),
  },
  {
    id: 'views/deadline',
    title: 'reads after the deadline of a view throw ViewExpired',
    promise: 12,
    needs,
    run: onStore(async (store) => {
      await store.apply(FIXTURE, at(7))
      const view = viewOf(store, 30)
      await sleep(150)
      for (const [name, read] of readsOf(view))
        throwsSnapshot(read, 'ViewExpired', `${name} past the deadline`)
      view.close()
    }),
  },
  {
    id: 'views/outlive-nothing',
    title: 'a view of a closed store reads its own cut or says ViewExpired or Closed',
    promise: 9,
    needs,
    run: onStore(async (store) => {
      await store.apply(FIXTURE, at(7))
      const view = viewOf(store)
      await store.close()
      try {
        assertReads(view, FoldModel.of(FIXTURE), 'in the view')
      } catch (error) {
        assert.ok(SnapshotError.is(error) && ['ViewExpired', 'Closed'].includes(error.code), String(error))
      }
      view.close()
    }),
  },
  {
    id: 'views/entries-one-cut',
    title: 'entries that meet a commit between two steps go on with the cut they began with',
    promise: 1,
    needs,
    run: onStore(async (store) => {
      await store.apply(FIXTURE, at(7))
      const iterator = store.entries()
      const seen = [iterator.next().value!]
      await store.apply(LATER, at(10))
      seen.push(...iterator)
      assert.deepEqual(seen.map(plain), FoldModel.of(FIXTURE).range(''))
    }),
  },
  {
    id: 'views/absent',
    title: 'a store without views has no view(), and entries that meet a commit throw StoreChanged',
    promise: 1,
    needs: ({ features }) => (features.views ? 'has views' : undefined),
    run: onStore(async (store) => {
      assert.equal(typeof store.view, 'undefined')
      await store.apply(FIXTURE, at(7))
      for (const iterator of [store.entries(), store.keys()]) {
        iterator.next()
        await store.apply([put('node.a', 'later', 8)], at(8))
        throwsSnapshot(() => iterator.next(), 'StoreChanged', 'the next step after a commit')
      }
    }),
  },
]

function viewOf(store: SnapshotStore, deadlineMs?: number): SnapshotView {
  assert.ok(store.view !== undefined, 'view() is there')
  return store.view(deadlineMs === undefined ? {} : { deadlineMs })
}

function readsOf(view: SnapshotView): [string, () => unknown][] {
  return [
    ['get', () => view.get('node.a')],
    ['getMany', () => view.getMany(['node.a'])],
    ['has', () => view.has('node.a')],
    ['range', () => view.range('')],
    ['entries', () => [...view.entries()]],
    ['keys', () => [...view.keys()]],
  ]
}
