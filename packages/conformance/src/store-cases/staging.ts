import assert from 'node:assert/strict'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { SnapshotStore, StagedFold } from '@slip/kv-core'
import type { CaseTemplate } from '../conformance-case.ts'
import { FoldModel, assertHolds, assertReads } from '../fold-model.ts'
import { onStore } from '../store-harness.ts'
import type { StoreSuite } from '../store-suite.ts'
import { rejectsSnapshot } from '../typed-errors.ts'
import { FIXTURE, at, del, put } from '../updates.ts'

const needs = ({ features }: StoreSuite): string | undefined =>
  features.staging ? undefined : 'has no staging'

const OLD = FoldModel.of(FIXTURE)
const LINEAGE = Uint8Array.of(9, 9, 9)
const REBUILT = [
  put('node.a', 'rebuilt', 101),
  put('other', 'v', 102),
  put('gone', 'v', 103),
  del('gone', 104),
]

const NEW = new FoldModel()
NEW.apply(REBUILT, at(104), { lineage: LINEAGE })

export const stagingCases: readonly CaseTemplate<StoreSuite>[] = [
  {
    id: 'staging/invisible',
    title: 'a staged fold is invisible until it is committed',
    promise: 6,
    needs,
    run: onStore(async (store) => {
      await store.apply(FIXTURE, at(7))
      const staged = await rebuild(store)
      assertHolds(store, OLD, 'while staging')
      await staged.discard()
    }),
  },
  {
    id: 'staging/commit',
    title:
      'commit swaps the whole fold, its cursor, lineage and deleted keys, and a reopen finds the new one',
    promise: 6,
    needs,
    run: onStore(async (store, harness) => {
      await store.apply(FIXTURE, at(7), { lineage: Uint8Array.of(1) })
      await (await rebuild(store)).commit()
      assertHolds(store, NEW, 'after the commit')
      assert.equal(store.stats.entries, 2)
      assertHolds(await harness.reopen(store), NEW, 'after the reopen')
    }),
  },
  {
    id: 'staging/goes-on',
    title: 'after a commit the same handle goes on applying',
    promise: 6,
    needs,
    run: onStore(async (store, harness) => {
      await store.apply(FIXTURE, at(7))
      await (await rebuild(store)).commit()
      const model = new FoldModel(NEW)
      const more = [put('after', 'v', 105), del('other', 106)]
      model.apply(more, at(106))
      await store.apply(more, at(106))
      assertHolds(store, model, 'after the apply')
      assertHolds(await harness.reopen(store), model, 'after the reopen')
    }),
  },
  {
    id: 'staging/durable',
    title: 'a commit is durable: the durable cursor is the staged one',
    promise: 2,
    needs: ({ features }) =>
      features.staging ? (features.durable ? undefined : 'not durable') : 'has no staging',
    run: onStore(async (store) => {
      await store.apply(FIXTURE, at(7))
      await (await rebuild(store)).commit()
      assert.equal(store.durableCursor.revision, 104n)
    }),
  },
  {
    id: 'staging/discard',
    title: 'a discarded fold leaves the old one as it was, and another can be staged',
    promise: 6,
    needs,
    run: onStore(async (store, harness) => {
      await store.apply(FIXTURE, at(7))
      await (await rebuild(store)).discard()
      assertHolds(store, OLD, 'after the discard')
      await (await rebuild(store)).commit()
      assertHolds(await harness.reopen(store), NEW, 'after the second')
    }),
  },
  {
    id: 'staging/abandoned',
    title: 'a fold staged and then forgotten, as in a crash, is not there after a reopen',
    promise: 6,
    needs,
    run: onStore(async (store, harness) => {
      await store.apply(FIXTURE, at(7))
      await rebuild(store)
      const reopened = await harness.reopen(store)
      assertHolds(reopened, OLD, 'after the reopen')
      const staged = await stageOf(reopened)
      assert.equal(staged.has('other'), false, 'nothing is left of the first')
      await staged.apply(REBUILT, at(104), { lineage: LINEAGE })
      await staged.commit()
      assertHolds(await harness.reopen(reopened), NEW, 'after staging again')
    }),
  },
  {
    id: 'staging/has',
    title: 'has speaks of the staged fold alone',
    promise: 6,
    needs,
    run: onStore(async (store) => {
      await store.apply(FIXTURE, at(7))
      const staged = await stageOf(store)
      assert.equal(staged.has('node.a'), false, 'the old fold does not count')
      await staged.apply(REBUILT, at(104))
      assert.deepEqual(
        ['node.a', 'other', 'gone', 'svc.x'].map((key) => staged.has(key)),
        [true, true, false, false],
      )
      await staged.discard()
    }),
  },
  {
    id: 'staging/keys',
    title: 'keys gives the live keys of the staged fold alone, also after a batch that was refused',
    promise: 3,
    needs,
    run: onStore(async (store) => {
      await store.apply(FIXTURE, at(7))
      const staged = await stageOf(store)
      assert.deepEqual([...staged.keys()], [], 'nothing is staged yet')
      await staged.apply(REBUILT, at(104))
      assert.deepEqual([...staged.keys()].toSorted(), ['node.a', 'other'])
      const tooLong = 'k'.repeat(store.features.maxKeyBytes + 1)
      await rejectsSnapshot(
        () => staged.apply([put(tooLong, 'v', 105)], at(105)),
        'LimitExceeded',
        'a long key',
      )
      const slowly: string[] = []
      for (const key of staged.keys()) {
        await nextTurn()
        slowly.push(key)
      }
      assert.deepEqual(slowly.toSorted(), ['node.a', 'other'], 'read with pauses')
      await staged.discard()
    }),
  },
  {
    id: 'staging/empty',
    title: 'an empty staged fold replaces a full one',
    promise: 6,
    needs,
    run: onStore(async (store, harness) => {
      await store.apply(FIXTURE, at(7))
      const staged = await stageOf(store)
      await staged.apply([], at(50))
      await staged.commit()
      const reopened = await harness.reopen(store)
      assert.deepEqual(reopened.range(''), [])
      assert.equal(reopened.cursor.revision, 50n)
    }),
  },
  {
    id: 'staging/views-keep-the-old',
    title: 'a view taken before the commit keeps showing the old fold',
    promise: 6,
    needs: ({ features }) => (features.staging && features.views ? undefined : 'has no staging or no views'),
    run: onStore(async (store) => {
      await store.apply(FIXTURE, at(7))
      const view = store.view!()
      await (await rebuild(store)).commit()
      assertReads(view, OLD, 'in the view')
      view.close()
    }),
  },
  {
    id: 'staging/absent',
    title: 'a store without staging has no stage()',
    promise: 6,
    needs: ({ features }) => (features.staging ? 'has staging' : undefined),
    run: onStore(async (store) => {
      assert.equal(typeof store.stage, 'undefined')
    }),
  },
]

async function stageOf(store: SnapshotStore): Promise<StagedFold> {
  assert.ok(store.stage !== undefined, 'stage() is there')
  return store.stage()
}

async function rebuild(store: SnapshotStore): Promise<StagedFold> {
  const staged = await stageOf(store)
  await staged.apply(REBUILT.slice(0, 2), at(102))
  await staged.apply(REBUILT.slice(2), at(104), { lineage: LINEAGE })
  return staged
}
