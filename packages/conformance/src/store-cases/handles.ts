import assert from 'node:assert/strict'
import { stat } from 'node:fs/promises'
import { CaseSkipped, type CaseTemplate } from '../conformance-case.ts'
import { FoldModel, assertHolds } from '../fold-model.ts'
import { onStore } from '../store-harness.ts'
import type { StoreSuite } from '../store-suite.ts'
import { rejectsSnapshot, throwsSnapshot } from '../typed-errors.ts'
import { FIXTURE, at, put } from '../updates.ts'

const durable = ({ features }: StoreSuite): string | undefined =>
  features.durable ? undefined : 'not durable'

export const handleCases: readonly CaseTemplate<StoreSuite>[] = [
  {
    id: 'features/declared',
    title: 'the store says of itself exactly what the suite says of it',
    promise: 8,
    run: (suite) =>
      onStore(async (store) => {
        assert.deepEqual({ ...store.features }, { ...suite.features })
        assert.equal(store.view !== undefined, suite.features.views, 'view() and the feature views')
        assert.equal(
          store.deletedKeys !== undefined,
          suite.features.deletedKeys,
          'deletedKeys() and its feature',
        )
        assert.equal(store.stage !== undefined, suite.features.staging, 'stage() and the feature staging')
      })(suite),
  },
  {
    id: 'durability/reopen',
    title: 'everything applied before a clean close is there after a reopen, twice over',
    promise: 2,
    needs: durable,
    run: onStore(async (store, harness) => {
      await store.apply(FIXTURE.slice(0, 4), at(4), { lineage: Uint8Array.of(1) })
      await store.apply(FIXTURE.slice(4), at(7))
      const model = FoldModel.of(FIXTURE)
      model.lineage = '01'
      const once = await harness.reopen(store)
      assertHolds(once, model, 'reopened')
      assertHolds(await harness.reopen(once), model, 'reopened again')
    }),
  },
  {
    id: 'durability/close-covers-the-last',
    title: 'close makes the last apply durable without a sync',
    promise: 2,
    needs: durable,
    run: onStore(async (store, harness) => {
      await store.apply(FIXTURE, at(7))
      await store.sync()
      await store.apply([put('last', 'v', 8)], at(8))
      const reopened = await harness.reopen(store)
      assert.equal(reopened.has('last'), true)
      assert.equal(reopened.cursor.revision, 8n)
    }),
  },
  {
    id: 'lock/second-open',
    title: 'a second open in the same process is Busy, and the first goes on undisturbed',
    promise: 11,
    needs: durable,
    run: onStore(async (store, harness) => {
      await store.apply(FIXTURE, at(7))
      await rejectsSnapshot(() => harness.open(), 'Busy', 'a second open')
      await store.apply([put('more', 'v', 8)], at(8))
      const reopened = await harness.reopen(store)
      assertHolds(reopened, FoldModel.of([...FIXTURE, put('more', 'v', 8)]), 'after the reopen')
      await rejectsSnapshot(() => harness.open(), 'Busy', 'a second open of the reopened fold')
    }),
  },
  {
    id: 'close/idempotent',
    title: 'closing twice, at once or later, and disposing are no errors',
    promise: 8,
    run: onStore(async (store, harness) => {
      await store.apply(FIXTURE, at(7))
      await Promise.all([store.close(), store.close()])
      await store.close()
      await store[Symbol.asyncDispose]()
      const again = await harness.open()
      await again[Symbol.asyncDispose]()
      await (await harness.open()).close()
    }),
  },
  {
    id: 'close/reads-throw',
    title: 'reads of a closed store throw Closed',
    promise: 8,
    run: onStore(async (store) => {
      await store.apply(FIXTURE, at(7))
      await store.close()
      throwsSnapshot(() => store.get('node.a'), 'Closed', 'get')
      throwsSnapshot(() => store.getMany(['node.a']), 'Closed', 'getMany')
      throwsSnapshot(() => store.has('node.a'), 'Closed', 'has')
      throwsSnapshot(() => store.range(''), 'Closed', 'range')
      throwsSnapshot(() => [...store.entries()], 'Closed', 'entries')
      throwsSnapshot(() => [...store.keys()], 'Closed', 'keys')
      if (store.view !== undefined) throwsSnapshot(() => store.view!(), 'Closed', 'view')
      if (store.deletedKeys !== undefined)
        throwsSnapshot(() => [...store.deletedKeys!()], 'Closed', 'deletedKeys')
    }),
  },
  {
    id: 'close/writes-reject',
    title: 'writes to a closed store reject with Closed and change nothing',
    promise: 9,
    run: onStore(async (store, harness) => {
      await store.apply(FIXTURE, at(7))
      await store.close()
      await rejectsSnapshot(() => store.apply([put('k', 'v', 8)], at(8)), 'Closed', 'apply')
      await rejectsSnapshot(() => store.sync(), 'Closed', 'sync')
      if (store.stage !== undefined) await rejectsSnapshot(() => store.stage!(), 'Closed', 'stage')
      const reopened = await harness.open()
      if (reopened.features.durable) assertHolds(reopened, FoldModel.of(FIXTURE), 'after the reopen')
    }),
  },
  {
    id: 'location/exists',
    title: 'exists is false before the first open and true after it, open or closed',
    promise: 10,
    needs: durable,
    run: onStore(async (store, harness) => {
      await harness.elsewhere(async (other) => {
        assert.equal(await other.fixture.location.exists(), false, 'before the first open')
        assert.equal(await other.fixture.location.exists(), false, 'asking makes nothing')
      })
      await store.apply(FIXTURE, at(7))
      assert.equal(await harness.fixture.location.exists(), true, 'while open')
      await store.close()
      assert.equal(await harness.fixture.location.exists(), true, 'after close')
    }),
  },
  {
    id: 'location/set-aside',
    title: 'a fold set aside is kept under the name that is given back, and a new one opens empty',
    promise: 10,
    needs: durable,
    run: onStore(async (store, harness) => {
      const { location } = harness.fixture
      if (location.setAside === undefined) throw new CaseSkipped('the location has no setAside()')
      await store.apply(FIXTURE, at(7))
      await store.close()
      const first = await location.setAside()
      assert.equal(await pathExists(first), true, 'the kept fold is there')
      assert.equal(await location.exists(), false)
      const fresh = await harness.open()
      assert.deepEqual(fresh.range(''), [])
      assert.equal(fresh.cursor.isNone, true)
      await fresh.apply([put('k', 'v', 1)], at(1))
      await fresh.close()
      const second = await location.setAside()
      assert.notEqual(second, first)
      assert.equal(await pathExists(first), true, 'the first is not overwritten')
    }),
  },
  {
    id: 'location/beside',
    title: 'a fold beside another is one of its own, and is removed without a trace of the other',
    promise: 6,
    needs: durable,
    run: onStore(async (store, harness) => {
      const { location } = harness.fixture
      const place = location.beside?.('besides')
      if (place?.remove === undefined) throw new CaseSkipped('the location has no beside() that can remove()')
      await store.apply(FIXTURE, at(7))
      const held = store.range('')
      await place.remove()
      assert.equal(await place.exists(), false)
      const other = await place.open()
      assert.deepEqual(other.range(''), [], 'it begins empty')
      await other.apply([put('other', 'v', 1)], at(1))
      assert.deepEqual(store.range(''), held, 'the first is not written')
      await rejectsSnapshot(() => place.remove!(), 'Busy', 'remove() of a fold that is open')
      await other.close()
      const again = await location.beside!('besides').open()
      assert.equal(again.has('other'), true, 'the same place for the same word')
      await again.close()
      await place.remove()
      assert.equal(await place.exists(), false, 'it is gone')
      await store.close()
      const reopened = await harness.open()
      assert.deepEqual(reopened.range(''), held)
    }),
  },
]

async function pathExists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
